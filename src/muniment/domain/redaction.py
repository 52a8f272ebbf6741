"""Redaction: the words of events are destroyed on purpose, and an event says so, so that nobody takes it for damage.

The leaf of an event covers a blinded commitment to its words. The commitment stays, and every proof with it; words
and blind go, so that nothing can be guessed from what is left.
"""

from __future__ import annotations

from typing import ClassVar, Final, TypeAlias

from attrs import frozen

from muniment.domain.decider import Decider, Event
from muniment.domain.errors import InvalidValueError
from muniment.domain.values import Audit, OrganisationId, StreamId

MOST_EVENTS: Final = 1_000
"""How many events one redaction names."""


@frozen
class EventsRedacted(Event):
    """The words of the events *seqs* were destroyed; *commits* are the commitments to them, in the same order."""

    audit: ClassVar[Audit] = Audit.GOVERNANCE
    seqs: tuple[int, ...]
    commits: tuple[str, ...]
    request_id: str | None = None


RedactionEvent: TypeAlias = EventsRedacted


@frozen
class Redactions:
    """What was redacted before needs no state: the events themselves say it."""


def redact_events(
    redactions: Redactions, targets: tuple[tuple[int, str], ...], request_id: str | None = None
) -> list[RedactionEvent]:
    """Destroy the words of *targets*, pairs of an event and the commitment to its words, in hexadecimal characters."""
    del redactions
    seqs = [seq for seq, _ in targets]
    if len(set(seqs)) != len(seqs):
        msg = "an event is named twice — name each event to be redacted once"
        raise InvalidValueError(msg)
    parts = [targets[at : at + MOST_EVENTS] for at in range(0, len(targets), MOST_EVENTS)]
    return [
        EventsRedacted(tuple(seq for seq, _ in part), tuple(commit for _, commit in part), request_id) for part in parts
    ]


def redactions_stream(organisation_id: OrganisationId) -> StreamId:
    """Return the stream of what was redacted in an organisation."""
    return StreamId(f"{organisation_id}:r")


def lost_words(seq: int) -> str:
    """Return what is said of an event without its words, of which no event says that they were redacted."""
    return f"event {seq} lost its words, and no event says that they were redacted"


def evolve(redactions: Redactions, event: RedactionEvent) -> Redactions:
    """Return the state after *event*, which is none."""
    del event
    return redactions


REDACTION: Decider[Redactions, RedactionEvent] = Decider("redaction", Redactions(), evolve, tail=1)
