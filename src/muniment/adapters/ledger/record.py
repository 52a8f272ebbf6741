"""One event as it is stored, and the leaf that stands for it in the hash tree."""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Literal

import attrs
import msgspec
from attrs import frozen

from muniment.adapters.ledger.codec import Codec
from muniment.domain.merkle import leaf_hash
from muniment.domain.ports import Recorded
from muniment.domain.values import Audit, CommandId, EventId, OrganisationId, PrincipalId, RunId, StreamId

LEAF_VERSION = 1
BLIND_BYTES = 32


@frozen
class Record:
    """The columns of one event, in the order in which they are stored.

    ``facts`` and ``words`` are bytes with a blind each; ``words_commit`` is set once the words were redacted.
    """

    seq: int
    stream: StreamId
    position: int
    type: str
    facts: bytes
    facts_blind: bytes
    words: bytes | None
    words_blind: bytes | None
    words_commit: bytes | None
    event_id: EventId
    recorded_at: int
    org: OrganisationId
    audit: str
    outcome: Literal["ok", "denied", "failed"]
    actor: PrincipalId
    on_behalf_of: PrincipalId | None
    run: RunId | None
    request: str | None
    correlation: str | None
    causation: EventId | None
    command: CommandId
    source: str


COLUMNS: tuple[str, ...] = tuple(each.name for each in attrs.fields(Record))
_IN_LEAF = {
    "audit": "class",
    **{
        name: name
        for name in (
            *("seq", "event_id", "recorded_at", "org", "stream", "position", "type", "outcome", "actor"),
            *("on_behalf_of", "run", "request", "correlation", "causation", "command", "source"),
        )
    },
}


def leaf_text(record: Record) -> bytes:
    """Return the JSON text (RFC 8785) whose RFC 6962 leaf hash stands for the event.

    All values are integers and ASCII strings without control characters, for which sorted keys and no spaces are
    the canonical form.
    """
    leaf: dict[str, Any] = {
        key: value for name, key in _IN_LEAF.items() if (value := getattr(record, name)) is not None
    }
    leaf["v"] = LEAF_VERSION
    leaf["facts_commit"] = commit(record.facts_blind, record.facts).hex()
    words_commit = _words_commit(record)
    if words_commit is not None:
        leaf["words_commit"] = words_commit.hex()
    return msgspec.json.encode(leaf, order="sorted")


def leaf_of(record: Record) -> bytes:
    """Return the leaf hash of the event."""
    return leaf_hash(leaf_text(record))


def commit(blind: bytes, content: bytes) -> bytes:
    """Return the blinded commitment to *content*."""
    return sha256(blind + content).digest()


def _words_commit(record: Record) -> bytes | None:
    if record.words is not None and record.words_blind is not None:
        return commit(record.words_blind, record.words)
    return record.words_commit


def recorded(record: Record, codec: Codec) -> Recorded:
    """Return the event as the rest of Muniment sees it."""
    return Recorded(
        seq=record.seq,
        event_id=record.event_id,
        recorded_at=record.recorded_at,
        organisation=record.org,
        stream=record.stream,
        position=record.position,
        type=record.type,
        audit=Audit(record.audit),
        outcome=record.outcome,
        actor=record.actor,
        on_behalf_of=record.on_behalf_of,
        run=record.run,
        request=record.request,
        correlation=record.correlation,
        causation=record.causation,
        command=record.command,
        source=record.source,
        event=codec.decode(record.type, record.facts, record.words),
    )
