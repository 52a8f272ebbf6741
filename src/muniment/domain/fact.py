"""What events that are proved to be in a ledger say together: a fact at a moment, and what they leave open.

Positions in a stream have no gaps, so an event and the one after it show that nothing happened in that stream between
them. That nothing happened *after* the last event shown is not proved by any number of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

from attrs import frozen

from muniment.domain.errors import ProofError

DECIDING: Final[Mapping[str, tuple[str, ...]]] = {
    "alias": ("alias.moved.1", "alias.removed.1"),
    "ttl": ("version.ttl-set.1",),
    "deleted": (
        "version.deleted.1",
        "version.restored.1",
        "version.let-go.1",
        "version.purged.1",
        "version.purged.2",
    ),
    "created": ("version.created.1",),
    "linked": ("collection.linked.1",),
    "latest": ("version.created.1", "collection.linked.1", "alias.latest-moved.1", "alias.latest-removed.1"),
}
"""The types of events that decide a fact of each kind."""
ENDING: Final = ("collection.unlinked.1", "collection.deleted.1")
"""The types of events that end a link."""
LASTING: Final = frozenset({"alias", "ttl", "deleted", "latest"})
"""The kinds that a later event in the same stream can change; the others happened or did not."""

OTHERWISE: Final = (
    "that `latest` had not moved otherwise by then, by hand or by a newer version, or because one was taken away: "
    "that is what the ledger's owner says"
)
UNENDED: Final = "that the link did not end later, up to the checkpoint: that is what the ledger's owner says"

Moment = Callable[[int], str]


@frozen
class Shown:
    """An event as a proof shows it: its envelope, its facts, and its words if they were revealed."""

    leaf: Mapping[str, Any]
    facts: Mapping[str, Any]
    words: Mapping[str, Any] | None = None

    @property
    def seq(self) -> int:
        """Its number in the ledger."""
        return int(self.leaf["seq"])

    @property
    def stream(self) -> str:
        """Its stream."""
        return str(self.leaf["stream"])

    @property
    def position(self) -> int:
        """Its position in the stream."""
        return int(self.leaf["position"])

    @property
    def type(self) -> str:
        """Its wire name."""
        return str(self.leaf["type"])

    @property
    def recorded_at(self) -> int:
        """When it was recorded."""
        return int(self.leaf["recorded_at"])


@frozen
class Judgement:
    """What is proved, line by line, and what is not."""

    proved: tuple[str, ...]
    open: tuple[str, ...]


def judge(about: str, at: int, run: Sequence[Shown], context: Sequence[Shown], moment: Moment) -> Judgement:
    """Say what events prove; ProofError if they do not belong together.

    *run* are the events of one stream from the one that decides on, up to the first after *at* or the last there is;
    *context* are events that say what the ids mean.
    """
    if not run or run[0].type not in DECIDING.get(about, ()):
        msg = f"the proof does not begin with an event that decides {about!r} — it proves nothing"
        raise ProofError(msg)
    first, *later = run
    if first.recorded_at > at:
        msg = f"event {first.seq} was recorded after {moment(at)} — it says nothing about then"
        raise ProofError(msg)
    for before, after in pairwise(run):
        if (after.stream, after.position) != (before.stream, before.position + 1) or before.recorded_at > at:
            msg = f"event {after.seq} does not follow event {before.seq} in its stream — the proof leaves something out"
            raise ProofError(msg)
    for each in later:
        if each.recorded_at <= at and each.type in DECIDING[about]:
            msg = f"event {each.seq} changed it again before {moment(at)} — event {first.seq} does not decide"
            raise ProofError(msg)
    ends = [each for each in context if about == "linked" and _ends(first, each)]
    meaning = [each for each in context if each not in ends]
    proved = [_said(first, moment), *(line for each in meaning for line in _context(first, each))]
    if about == "linked":
        proved += [f"the link ended with event {each.seq}, recorded {moment(each.recorded_at)}" for each in ends]
        return Judgement(tuple(proved), () if ends else (UNENDED,))
    closed, unproved = _closing(about, at, run, proved, moment)
    return Judgement(closed, (*unproved, OTHERWISE) if about == "latest" else unproved)


def _ends(first: Shown, event: Shown) -> bool:
    """Whether an event ends the link that the first one made, or the collection that it is in."""
    of_link = event.stream in {first.facts["link_id"], first.stream.split(":", 1)[0]}
    return event.type in ENDING and of_link and event.seq > first.seq


def _closing(
    about: str, at: int, run: Sequence[Shown], proved: list[str], moment: Moment
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if about not in LASTING:
        return tuple(proved), ()
    last = run[-1]
    if last.recorded_at > at:
        proved.append(
            f"nothing else happened to it until {moment(at)}: the next event of its stream is {last.seq}, "
            f"recorded {moment(last.recorded_at)}"
        )
        return tuple(proved), ()
    unproved = (
        f"that no event after {last.seq} changed it before {moment(at)}: that is what the ledger's owner says, and "
        "whoever has the whole ledger can check it"
    )
    return tuple(proved), (unproved,)


def _said(event: Shown, moment: Moment) -> str:
    happened = f"event {event.seq}, recorded {moment(event.recorded_at)} for principal {event.leaf['actor']}"
    owner = event.stream.split(":", 1)[0]
    facts = event.facts
    match event.type:
        case "alias.moved.1":
            called = f", called {event.words['alias']!r}," if event.words and "alias" in event.words else ""
            return f"{happened}: alias {event.stream}{called} of {owner} points at version {facts['to']}"
        case "alias.latest-moved.1":
            return f"{happened}: `latest` of {owner} points at version {facts['to']}"
        case "alias.latest-removed.1":
            return f"{happened}: `latest` of {owner} points nowhere"
        case "alias.removed.1":
            return f"{happened}: alias {event.stream} of {owner} points nowhere"
        case "version.ttl-set.1":
            return f"{happened}: version {owner} has the TTL {_ttl(facts['ttl'])}"
        case "version.created.1":
            return f"{happened}: version {facts['version_id']} is v{event.position - 1} of artifact {owner}{_of(event)}"
        case "collection.linked.1":
            return f"{happened}: version {facts['version_id']} is v{event.position - 1} of collection {owner}"
        case _:
            return f"{happened}: version {owner} was {event.type.split('.')[1]}"


def _of(event: Shown) -> str:
    return f", its digest {event.words['digest']}" if event.words and "digest" in event.words else ""


def _ttl(ttl: Mapping[str, Any]) -> str:
    return f"{ttl['micros']} µs" if ttl.get("micros") is not None else str(ttl.get("rule"))


def _context(first: Shown, event: Shown) -> Iterator[str]:
    """Yield what an event says about the ids of the one that decides; one that says nothing is refused."""
    owner = first.stream.split(":", 1)[0]
    version = first.facts.get("to") or first.facts.get("version_id") or owner
    words = event.words or {}
    if event.type == "version.created.1" and event.facts["version_id"] == version:
        artifact = event.stream.split(":")[0]
        yield f"version {version} is v{event.position - 1} of artifact {artifact}{_of(event)} (event {event.seq})"
    elif event.type == "collection.linked.1" and event.stream == f"{owner}:n" and event.facts["version_id"] == version:
        yield f"version {version} is v{event.position - 1} of collection {owner} (event {event.seq})"
    elif event.type == "alias.moved.1" and (event.stream, event.position) == (first.stream, 1):
        if "alias" in words:
            yield f"the alias is called {words['alias']!r} (event {event.seq})"
    elif event.type.split(".")[1] in {"created", "renamed"} and event.stream == owner:
        if "name" in words:
            yield f"{event.type.split('.')[0]} {event.stream} is called {words['name']!r} since event {event.seq}"
    else:
        msg = f"event {event.seq} says nothing about what is to be proved — leave it out"
        raise ProofError(msg)
