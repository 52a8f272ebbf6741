"""The ledger as it is: its last events, those of a kind, and those to come."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from itertools import islice
from typing import Any, Final

import attrs
import click
from attrs import frozen

from muniment.app import clock, directory, subjects
from muniment.app.cli.describe import Logins
from muniment.app.cli.frame import command, seq_at, store
from muniment.app.cli.show import Many, Shown, Values, printable
from muniment.app.fields import plain_fields
from muniment.app.projections import audit
from muniment.app.store import Store
from muniment.domain.ports import Recorded
from muniment.domain.rows import TimelineRow
from muniment.domain.values import Audit, owner_of

LAST: Final = 20
CHUNK: Final = 500
PAUSE_SECONDS: Final = 0.5
SHORT_ID: Final = 8
ID_LENGTH: Final = 32


@command(
    examples=(
        "muniment events",
        "muniment events --follow --json",
        "muniment events --type 'alias.*' --actor ana --since 2026-03-01",
        "muniment events --class security --after 0 -n 100",
        "muniment events --subject mnist:v3",
    )
)
@click.option("--type", "type_", metavar="TYPE", help="Of this type; * stands for anything: 'alias.*'.")
@click.option("--actor", metavar="LOGIN", help="By this person.")
@click.option("--class", "class_", type=click.Choice([each.value for each in Audit]), help="Of this class.")
@click.option("--outcome", type=click.Choice(["ok", "denied", "failed"]), help="Allowed or denied.")
@click.option("--subject", metavar="NAME", help="About this artifact, version, collection, registry, run, team or id.")
@click.option("--since", metavar="MOMENT", help="Not before: an ISO time such as 2026-03-03T12:00Z, or a seq.")
@click.option("--until", metavar="MOMENT", help="Not after: an ISO time, or a seq.")
@click.option("--after", metavar="CURSOR", type=click.IntRange(0), help="Go on after this seq.")
@click.option(
    "--limit",
    "-n",
    "-l",
    type=click.IntRange(1),
    metavar="N",
    help="How many; by default the last 20, or all from a beginning on.",
)
@click.option("--follow", "-f", is_flag=True, help="Go on with what happens from now, until interrupted.")
def events(
    *,
    type_: str | None,
    actor: str | None,
    class_: str | None,
    outcome: str | None,
    subject: str | None,
    since: str | None,
    until: str | None,
    after: int | None,
    limit: int | None,
    follow: bool,
) -> Shown:
    """Show the last events of the ledger, or with --since or --after all from there on."""
    opened = store()
    if follow and (until is not None or limit is not None):
        msg = "--follow goes on for ever; leave out --until and --limit"
        raise click.UsageError(msg)
    wanted = Wanted(
        type=type_,
        actor=None if actor is None else directory.known_principal(opened, actor),
        audit=class_,
        outcome=outcome,
        subject=None if subject is None else subjects.subject(opened, subject).id,
    )
    begin = _begin(opened, since, after)
    end = seq_at(opened, until) if until is not None else opened.ledger.head().size
    assert end is not None  # noqa: S101 (until was given)
    reading = Reading(opened, wanted)
    if follow:
        start = begin if begin is not None else reading.seq_of_last(end, LAST)
        return Many(reading.follow(start, _pause), line=_line)
    if begin is None:
        return Many(reading.last(end, limit or LAST), line=_line)
    rows = reading.forward(begin, end)
    if limit is None:
        return Many(rows, line=_line)
    page = list(islice(rows, limit + 1))
    cursor = page[limit - 1]["seq"] if len(page) > limit else None
    return Many(page[:limit], line=_line, cursor=cursor)


@frozen
class Wanted:
    """Which events are wanted; ``None`` wants all."""

    type: str | None = None
    actor: str | None = None
    audit: str | None = None
    outcome: str | None = None
    subject: str | None = None

    @property
    def everything(self) -> bool:
        """Whether no event is left out."""
        return not any(attrs.astuple(self, recurse=False))

    def accepts(self, recorded: Recorded) -> bool:
        """Whether an event is wanted."""
        name = recorded.type.rpartition(".")[0]
        return (
            (self.type is None or fnmatchcase(name, self.type) or recorded.type == self.type)
            and self.actor in {None, recorded.actor}
            and self.audit in {None, recorded.audit.value}
            and self.outcome in {None, recorded.outcome}
            and (self.subject is None or self.subject in _concerned(recorded))
        )


@frozen
class Reading:
    """Reads wanted events and writes them as rows; logins are looked up once each."""

    opened: Store
    wanted: Wanted
    logins: Logins = attrs.field(init=False)

    @logins.default
    def _of_nobody_yet(self) -> Logins:
        return Logins(self.opened)

    def forward(self, after: int, until: int) -> Iterator[Values]:
        """Yield rows in the order in which the events happened."""
        for recorded in self.opened.ledger.read(after=after, until=until):
            if self.wanted.accepts(recorded):
                yield self.row(recorded)

    def last(self, until: int, count: int) -> list[Values]:
        """Return the last rows up to an event, looking no further back than needed."""
        found: list[Recorded] = []
        high = until
        while high > 0 and len(found) < count:
            low = max(0, high - (count if self.wanted.everything else CHUNK))
            chunk = [each for each in self.opened.ledger.read(after=low, until=high) if self.wanted.accepts(each)]
            found = chunk + found
            high = low
        return [self.row(each) for each in found[-count:]]

    def seq_of_last(self, until: int, count: int) -> int:
        """Return the seq after which the last rows come."""
        rows = self.last(until, count)
        return int(rows[0]["seq"]) - 1 if rows else until

    def follow(self, after: int, pause: Callable[[], None]) -> Iterator[Values]:
        """Yield rows for ever, waiting by *pause* whenever nothing happened."""
        while True:
            size = self.opened.ledger.head().size
            if size > after:
                yield from self.forward(after, size)
                after = size
            else:
                pause()

    def row(self, recorded: Recorded) -> Values:
        """Return everything that the ledger holds about an event."""
        return {
            "seq": recorded.seq,
            "time": clock.to_text(recorded.recorded_at),
            "type": recorded.type,
            "class": recorded.audit.value,
            "outcome": recorded.outcome,
            "actor": self.logins.of(recorded.actor),
            "actor_id": recorded.actor,
            "on_behalf_of": recorded.on_behalf_of,
            "subject": owner_of(recorded.stream),
            "stream": recorded.stream,
            "position": recorded.position,
            "run": recorded.run,
            "source": recorded.source,
            "command": recorded.command,
            "event_id": recorded.event_id,
            "event": plain_fields(recorded.event),
        }


def _line(row: Values) -> str:
    words = [f"{name}={_short(value)}" for name, value in row["event"].items() if value not in (None, [], "")]
    mark = "" if row["outcome"] == "ok" else f" {row['outcome'].upper()}"
    who = f"{row['seq']:>6}  {row['time'][:19]}Z  {row['actor']}"
    return printable(f"{who}  {row['type'].rpartition('.')[0]}{mark}  {' '.join(words)}".rstrip())


def _short(value: Any) -> str:  # noqa: ANN401 (JSON)
    if isinstance(value, dict):
        return "(personal)" if "slot" in value else ",".join(f"{key}:{_short(each)}" for key, each in value.items())
    if isinstance(value, list):
        return ",".join(map(_short, value))
    text = str(value)
    hexadecimal = len(text) >= ID_LENGTH and all(char in "0123456789abcdef" for char in text)
    return text[:SHORT_ID] if hexadecimal else text


def _concerned(recorded: Recorded) -> Iterator[str]:
    for change in audit.fold(recorded):
        row = getattr(change, "row", None)
        if isinstance(row, TimelineRow):
            yield row.subject_id


def _begin(opened: Store, since: str | None, after: int | None) -> int | None:
    if since is not None and after is not None:
        msg = "use --since or --after, not both"
        raise click.UsageError(msg)
    if since is None:
        return after
    if since.isdecimal():
        return int(since) - 1
    return opened.ledger.at(clock.from_text(since) - 1)


def _pause() -> None:
    time.sleep(PAUSE_SECONDS)
