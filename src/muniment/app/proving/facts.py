"""Facts that are proved: where an alias pointed at a moment, that a version was made, linked, deleted, given a TTL."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from attrs import frozen

from muniment.app import canonical, catalog, clock
from muniment.app.proving.proofs import Prover, shown
from muniment.app.store import Store
from muniment.app.subjects import address
from muniment.app.subjects import subject as named
from muniment.app.telling.history import as_of
from muniment.domain.checkpoint import SignedNote
from muniment.domain.errors import InvalidValueError, NotFoundError, ProofError
from muniment.domain.fact import DECIDING, ENDING, LASTING, Judgement, judge
from muniment.domain.ports import Recorded
from muniment.domain.proof_file import InclusionFile
from muniment.domain.rows import AliasRow, LatestRow, LinkRow, VersionRow
from muniment.domain.values import LATEST, StreamId, VersionId, numbering_stream

KIND: Final = "muniment-fact/v1"
_NAMING: Final = ("created", "renamed")


@frozen
class FactFile:
    """A fact with the proofs of the events that decide it and of those that say what their ids mean."""

    about: str
    at: int
    run: tuple[InclusionFile, ...]
    context: tuple[InclusionFile, ...]

    @property
    def note(self) -> SignedNote:
        """The checkpoint that all proofs lead to."""
        return self.run[0].note

    def judge(self) -> Judgement:
        """Check the proofs and say what they prove together; ProofError if they do not."""
        if any(proof.note != self.note for proof in (*self.run, *self.context)):
            msg = "the proofs lead to different checkpoints — do not trust this file"
            raise ProofError(msg)
        run, context = ([shown(proof) for proof in proofs] for proofs in (self.run, self.context))
        return judge(self.about, self.at, run, context, clock.to_text)

    def render(self) -> str:
        """Return the file."""
        proofs = {"run": self.run, "context": self.context}
        texts = {name: [proof.render() for proof in held] for name, held in proofs.items()}
        return canonical.encode({"kind": KIND, "about": self.about, "at": self.at, **texts}).decode() + "\n"

    @classmethod
    def parse(cls, text: str) -> FactFile:
        """Read a file; InvalidValueError says what is wrong with it."""
        held = canonical.decode(text.removesuffix("\n").encode(), "the proof of a fact")
        try:
            listed = all(type(held[name]) is list for name in ("run", "context"))
            wanted = held["kind"] == KIND and type(held["at"]) is int and held["about"] in DECIDING and held["run"]
            run, context = (tuple(map(InclusionFile.parse, held[name])) for name in ("run", "context"))
        except (AttributeError, KeyError, TypeError) as error:
            msg = f"this is no proof of a fact: {KIND} has members that it lacks — give it as it was written"
            raise InvalidValueError(msg) from error
        if not (wanted and listed):
            msg = f"this is no proof of a fact of the form {KIND} — give it as it was written"
            raise InvalidValueError(msg)
        return cls(held["about"], held["at"], run, context)


def prove_fact(
    store: Store,
    text: str,
    *,
    about: str | None = None,
    at: str | int | None = None,
    note: str | None = None,
    words: bool = False,
) -> FactFile:
    """Return the proof of a fact about a version or an alias, ``name:v3`` or ``name:production``, at a moment.

    *about* is ``alias``, ``latest``, ``created``, ``linked``, ``ttl`` or ``deleted``; without it a name with an alias
    is about the alias, a version about its making. With *words* names and digests are shown too.
    """
    prover = Prover.of(store, note)
    seq = min(as_of(store, "now" if at is None else at), prover.tree.size)
    moment = _micros(store, at, seq)
    where = address(store, text)
    kind = about or ("alias" if where.index is None else "linked" if where.registry else "created")
    if kind not in DECIDING:
        msg = f"nothing can be proved about {kind!r} — say one of {', '.join(DECIDING)}"
        raise InvalidValueError(msg)
    kind = "latest" if kind == "alias" and where.alias == LATEST else kind
    stream, version = _decisive(store, text, kind, seq)
    run = _run(store, stream, kind, seq, prover.tree.size, version)
    context = [each for each in _context(store, run[0], version, seq, words=words) if each not in set(run)]
    if kind == "linked":
        context += _ends(store, run[0], prover.tree.size)

    def proofs(seqs: Iterable[int]) -> tuple[InclusionFile, ...]:
        return tuple(prover.event(each, words=words) for each in seqs)

    return FactFile(kind, moment, proofs(run), proofs(context))


def _micros(store: Store, at: str | int | None, seq: int) -> int:
    """Return the time that a moment means; of an event, when it was recorded."""
    if isinstance(at, str) and not at.strip().isdecimal() and at != "now":
        return clock.from_text(at.strip())
    return store.moment(seq)


def _alias(store: Store, text: str, seq: int) -> tuple[StreamId, VersionId | None]:
    where = address(store, text)
    owner = named(store, f"{text.partition(':')[0]}", seq).id
    row = store.views.find(AliasRow, at=seq, owner_id=owner, alias=where.alias)
    if row is None:
        msg = (
            f"{text!r}: there was no such alias then, and that something is missing cannot be proved — "
            "name one that was there then, or the moment when it was"
        )
        raise NotFoundError(msg)
    return row.slot, row.version_id


def _latest(store: Store, text: str, seq: int) -> tuple[StreamId, VersionId]:
    """Return the stream that decides where ``latest`` points: of versions made or linked, or of moves by hand."""
    where = address(store, text)
    if where.index is not None or where.alias not in {LATEST, None}:
        msg = f"{text!r} does not say `latest` — name it as {text.partition(':')[0]}:latest"
        raise InvalidValueError(msg)
    found = catalog.find(store.views, where, seq)
    owner = found.artifact.artifact_id if found.collection is None else found.collection.collection_id
    decisive = list(store.ledger.read(stream=numbering_stream(owner), until=seq))[-1]
    moved = store.views.find(LatestRow, at=seq, owner_id=owner)
    if moved is not None and moved.moved_seq > decisive.seq:
        decisive = store.event(moved.moved_seq)
    facts = (getattr(decisive.event, name, None) for name in ("version_id", "to"))
    if found.version.version_id not in facts:
        msg = f"{text!r}: a newer version was taken away, so several events decide — prove a version, such as name:v3"
        raise InvalidValueError(msg)
    return decisive.stream, found.version.version_id


def _ends(store: Store, linked: int, size: int) -> Iterator[int]:
    """Yield the number of the first event up to a size that ends a link."""
    event = store.event(linked)
    streams = (str(getattr(event.event, "link_id", "")), event.stream.split(":", 1)[0])
    read = (each for stream in streams for each in store.ledger.read(after=linked, stream=StreamId(stream), until=size))
    yield from sorted(each.seq for each in read if each.type in ENDING)[:1]


def _decisive(store: Store, text: str, about: str, seq: int) -> tuple[StreamId, VersionId | None]:
    """Return the stream of the event that decides, and the version that it is about."""
    if about == "latest":
        return _latest(store, text, seq)
    return _alias(store, text, seq) if about == "alias" else _version(store, text, about, seq)


def _version(store: Store, text: str, about: str, seq: int) -> tuple[StreamId, VersionId]:
    version = VersionId(named(store, text, seq).id)
    if about == "linked":
        found = catalog.find(store.views, address(store, text), seq)
        if found.link is None:
            msg = f"{text!r} is no link — name it as it is called in its registry"
            raise InvalidValueError(msg)
        return numbering_stream(found.link.collection_id), version
    if about == "created":
        row = store.views.find(VersionRow, at=seq, version_id=version)
        assert row is not None  # noqa: S101 (it was found by its name)
        return numbering_stream(row.artifact_id), version
    return StreamId(version), version


def _run(store: Store, stream: StreamId, about: str, seq: int, size: int, version: VersionId | None) -> list[int]:
    """Return the numbers of the events from the one that decides on."""
    run: list[int] = []
    for each in store.ledger.read(stream=stream, until=size):
        concerned = about in LASTING or getattr(each.event, "version_id", None) == version
        if each.seq <= seq and each.type in DECIDING[about] and concerned:
            run = [each.seq]
        elif run and about in LASTING and run[-1] <= seq:
            run.append(each.seq)
    if not run:
        msg = f"no event up to {seq} says anything about {about} there, and a missing one cannot be proved"
        raise NotFoundError(msg)
    return run


def _context(store: Store, deciding: int, version: VersionId | None, seq: int, *, words: bool) -> Iterator[int]:
    """Yield the numbers of the events that say what the ids of the deciding one mean."""
    event = store.event(deciding)
    owner = event.stream.split(":", 1)[0]
    if version is not None:
        row = store.views.find(VersionRow, at=seq, version_id=version)
        if row is not None:
            yield row.created_seq
        link = store.views.find(LinkRow, at=seq, collection_id=owner, version_id=version)
        if link is not None:
            yield link.linked_seq
    if words:
        if ":a:" in event.stream:
            yield from (each.seq for each in store.ledger.read(stream=event.stream, limit=1))
        names = [each.seq for each in store.ledger.read(stream=StreamId(owner), until=seq) if _names(each)]
        yield from names[-1:]


def _names(recorded: Recorded) -> bool:
    return recorded.type.split(".")[1] in _NAMING and hasattr(recorded.event, "name")
