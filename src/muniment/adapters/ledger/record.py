"""One event as it is stored, and the leaf that stands for it in the hash tree."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final, Literal

import attrs
import msgspec
from attrs import frozen

from muniment.adapters.ledger.codec import Codec
from muniment.domain.errors import CorruptError, NotFoundError
from muniment.domain.merkle import leaf_hash
from muniment.domain.ports import Recorded
from muniment.domain.proof import LeafContent, commit
from muniment.domain.values import Audit, CommandId, EventId, OrganisationId, PrincipalId, RunId, StreamId

END: Final = 2**62
"""More events than any ledger has."""
LEAF_VERSION: Final = 1
BLIND_BYTES: Final = 32


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


COLUMNS: Final[tuple[str, ...]] = tuple(each.name for each in attrs.fields(Record))
cells: Final[Callable[[Record], tuple[Any, ...]]] = attrgetter(*COLUMNS)
"""The columns of a record as the database takes them."""

_PLAIN: Final = {"seq": int, "position": int, "recorded_at": int, "facts": bytes, "facts_blind": bytes}
_MAYBE: Final = {"words": bytes, "words_blind": bytes, "words_commit": bytes}
_MAYBE_TEXT: Final = {"on_behalf_of", "run", "request", "correlation", "causation"}
_TYPES: Final = tuple(
    {_PLAIN[name]}
    if name in _PLAIN
    else {_MAYBE.get(name, str), type(None)}
    if name in _MAYBE or name in _MAYBE_TEXT
    else {str}
    for name in COLUMNS
)
AUDITS: Final = {each.value for each in Audit}
OUTCOMES: Final = {"ok", "denied", "failed"}
_WORDS: Final = {(True, True, True), (False, False, True), (True, True, False)}
"""Which of words, blind and commitment are absent: all, only the commitment, or (once redacted) all but that."""


@lru_cache(maxsize=1024)
def _are_allowed(types: tuple[type, ...]) -> bool:
    """Whether the columns may hold values of these types; few combinations of them are ever seen."""
    return all(found in allowed for found, allowed in zip(types, _TYPES, strict=True))


def is_whole(record: Record) -> bool:
    """Whether every column holds what it may; a database gives back whatever somebody put there."""
    return (
        _are_allowed(tuple(map(type, cells(record))))
        and record.audit in AUDITS
        and record.outcome in OUTCOMES
        and (record.words is None, record.words_blind is None, record.words_commit is None) in _WORDS
    )


class _Leaf(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The members of a leaf, sorted as RFC 8785 wants them; ``None`` is left out."""

    actor: str
    causation: str | None = None
    class_: str = msgspec.field(name="class")
    command: str
    correlation: str | None = None
    event_id: str
    facts_commit: str
    on_behalf_of: str | None = None
    org: str
    outcome: str
    position: int
    recorded_at: int
    request: str | None = None
    run: str | None = None
    seq: int
    source: str
    stream: str
    type: str
    v: int
    words_commit: str | None = None


_encode = msgspec.json.Encoder().encode


def leaf_text(record: Record) -> bytes:
    """Return the JSON text (RFC 8785) whose RFC 6962 leaf hash stands for the event."""
    words_commit = _words_commit(record)
    leaf = _Leaf(
        actor=record.actor,
        causation=record.causation,
        class_=record.audit,
        command=record.command,
        correlation=record.correlation,
        event_id=record.event_id,
        facts_commit=commit(record.facts_blind, record.facts).hex(),
        on_behalf_of=record.on_behalf_of,
        org=record.org,
        outcome=record.outcome,
        position=record.position,
        recorded_at=record.recorded_at,
        request=record.request,
        run=record.run,
        seq=record.seq,
        source=record.source,
        stream=record.stream,
        type=record.type,
        v=LEAF_VERSION,
        words_commit=None if words_commit is None else words_commit.hex(),
    )
    return _encode(leaf)


def leaf_of(record: Record) -> bytes:
    """Return the leaf hash of the event."""
    return leaf_hash(leaf_text(record))


def _words_commit(record: Record) -> bytes | None:
    if record.words is not None and record.words_blind is not None:
        return commit(record.words_blind, record.words)
    return record.words_commit


def bounds(after: int, until: int | None, limit: int | None) -> tuple[int, int, int]:
    """Return after which event to read, up to which, and how many at most, in numbers that every database knows."""
    first, last, most = (max(0, min(END if each is None else each, END)) for each in (after, until, limit))
    return first, last, most


def leaf_content(found: Iterable[Record], seq: int) -> LeafContent:
    """Return what the leaf of an event stands for; NotFoundError if the event is not there."""
    for record in found:
        text = leaf_text(whole(record))
        return LeafContent(text, record.facts, record.facts_blind, record.words, record.words_blind)
    msg = f"the ledger has no event {seq} — `muniment events` shows which there are"
    raise NotFoundError(msg)


def whole(record: Record) -> Record:
    """Return the record if it is whole; CorruptError names it if it is not."""
    if not is_whole(record):
        msg = f"event {record.seq!r} of the ledger is damaged — run `muniment fsck`, then restore the last good copy"
        raise CorruptError(msg)
    return record


def recorded(record: Record, codec: Codec) -> Recorded:
    """Return a stored event as the rest of Muniment sees it."""
    return enveloped(record, codec.decode(record.type, record.facts, record.words))


def enveloped(record: Record, event: object) -> Recorded:
    """Return an event with the envelope of its record."""
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
        event=event,
    )
