"""The one path by which events come to be, the same on every database: decide, append, fold, answer.

A database gives its open write transaction as a ``Desk``; everything that makes a ledger a ledger is here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Protocol, TypeVar

import msgspec
from attrs import define, field, frozen

from muniment.adapters.ledger.codec import Codec, json_text
from muniment.adapters.ledger.fitting import fitting
from muniment.adapters.ledger.record import BLIND_BYTES, Record, enveloped, leaf_of, recorded, whole
from muniment.adapters.ledger.tiles import completed
from muniment.domain import errors
from muniment.domain.decider import Decider, Event
from muniment.domain.errors import CommandReusedError, ConflictError, RuleError
from muniment.domain.merkle import Frontier, Tile
from muniment.domain.ports import Append, Command, Decide, Fold, Outcome, Receipt, Recorded, Scratch, Views
from muniment.domain.principal import Denied, access_stream
from muniment.domain.proof import commit
from muniment.domain.redaction import EventsRedacted
from muniment.domain.rows import Change, Row, kind_of
from muniment.domain.values import Audit, EventId, Micros, StreamId

S = TypeVar("S")
E = TypeVar("E")

COMMANDS_KEPT: Micros = 30 * 24 * 3600 * 1_000_000
"""How long the answer to a command is kept for its retries, in microseconds."""


@define
class Tip:
    """The end of the ledger: the tree's frontier (its size is the last ``seq``) and the time of the last event."""

    frontier: Frontier
    recorded_at: Micros


@frozen
class Kept:
    """The answer that was given to a command (JSON), or the class and text of the error that refused it."""

    request: bytes
    answer: bytes
    first_seq: int | None
    last_seq: int | None
    refused: str | None = None


class Sheet(Protocol):
    """Rows that can be changed."""

    def apply(self, changes: Sequence[Change], seq: int) -> None: ...


@frozen
class Only:
    """Rows of which only some kinds can be changed."""

    sheet: Sheet
    kinds: frozenset[type[Row]]

    def apply(self, changes: Sequence[Change], seq: int) -> None:
        """Apply the changes that concern those kinds."""
        wanted = [change for change in changes if kind_of(change) in self.kinds]
        if wanted:
            self.sheet.apply(wanted, seq)


@frozen
class Held:
    """The words of an event with their blind, or once they were destroyed the commitment to them; or none of these."""

    seq: int
    words: bytes | None
    blind: bytes | None
    kept: bytes | None

    def committed(self) -> bytes | None:
        """Return the commitment to the words, ``None`` if there never were any."""
        if self.words is not None and self.blind is not None:
            return commit(self.blind, self.words)
        return self.kept


class Desk(Sheet, Protocol):
    """One database's open write transaction."""

    tip: Tip

    @property
    def views(self) -> Views: ...
    @property
    def scratch(self) -> Scratch: ...
    def begin(self) -> None:
        """Set a savepoint."""
        ...

    def undo(self) -> None:
        """Go back to the savepoint, the tip too, and release it."""
        ...

    def keep(self) -> None:
        """Release the savepoint."""
        ...

    def position(self, stream: StreamId) -> int: ...
    def tail(self, stream: StreamId, limit: int | None) -> list[tuple[int, str, bytes, bytes | None]]:
        """Return position, type, facts and words of the last events of a stream, oldest first."""
        ...

    def insert(self, records: Sequence[Record], leaves: Sequence[bytes], tiles: Sequence[Tile]) -> None: ...
    def words(self, seqs: Sequence[int]) -> list[Held]:
        """Return what is kept of the words of events."""
        ...

    def destroy_words(self, commits: Mapping[int, bytes]) -> None:
        """Destroy words and blinds of events, keep the commitments, and forget what was answered to any command.

        Refusals say names, and what was asked for is kept as a hash without a blind.
        """
        ...

    def kept(self, actor: str, command: str, since: Micros) -> Kept | None:
        """Return the answer that a command got, if it was not before *since*."""
        ...

    def keep_answer(self, actor: str, command: str, kept: Kept, at: Micros) -> None:
        """Keep the answer to a command, instead of an expired one."""
        ...


class OpenTransaction:
    """What a decision sees of a desk."""

    def __init__(self, desk: Desk, codec: Codec, now: Micros) -> None:
        self._desk = desk
        self._codec = codec
        self.now = now
        self.views = desk.views
        self.scratch = desk.scratch

    def load(self, decider: Decider[S, E], stream: StreamId) -> tuple[S, int]:
        """Return the state of a stream and the position of its last event (0: none)."""
        rows = self._desk.tail(stream, decider.tail)
        events = (self._codec.decode(name, facts, words) for _, name, facts, words in rows)
        return decider.fold(events), rows[-1][0] if rows else 0

    def position(self, stream: StreamId) -> int:
        """Return the position of a stream's last event (0: none)."""
        return self._desk.position(stream)


@define
class Core:
    """Runs commands on an open desk."""

    codec: Codec
    folds: Sequence[Fold]
    clock: Callable[[], Micros]
    random: Callable[[int], bytes] = field(default=os.urandom)

    def transact(self, desk: Desk, command: Command, decide: Decide) -> Receipt:
        """Run one command inside a savepoint: decide, append, fold, keep the answer."""
        request = sha256(json_text(command.request, "deterministic")).digest()
        clock = self.clock()
        kept = desk.kept(command.context.actor, command.id, clock - COMMANDS_KEPT)
        if kept is not None:
            return _again(kept, request)
        now = max(clock, desk.tip.recorded_at + 1)

        def run() -> Receipt:
            receipt = self._append(desk, command, decide(OpenTransaction(desk, self.codec, now)), now)
            answer = msgspec.json.encode(receipt.answer)
            kept = Kept(request, answer, receipt.first_seq, receipt.last_seq)
            desk.keep_answer(command.context.actor, command.id, kept, now)
            return receipt

        try:
            return guarded(desk, run)
        except RuleError as refusal:
            why = refusal
            guarded(desk, lambda: self._refuse(desk, command, request, why, now))
            raise

    def work(self, desk: Desk, act: Callable[[OpenTransaction], S]) -> S:
        """Let *act* change scratch rows inside a savepoint."""
        now = max(self.clock(), desk.tip.recorded_at + 1)
        return guarded(desk, lambda: act(OpenTransaction(desk, self.codec, now)))

    def refold(self, desk: Sheet, record: Record) -> None:
        """Apply to the rows what the projections make of a stored event."""
        changes = self.changes(record)
        if changes:
            desk.apply(changes, record.seq)

    def changes(self, record: Record) -> list[Change]:
        """Return what the projections make of a stored event."""
        if record.audit == Audit.ACCESS.value:
            return []
        event = recorded(whole(record), self.codec)
        return [change for fold in self.folds for change in fold(event)]

    def _fold(self, desk: Sheet, event: Recorded) -> None:
        for fold in self.folds:
            changes = fold(event)
            if changes:
                desk.apply(changes, event.seq)

    def _refuse(self, desk: Desk, command: Command, request: bytes, refusal: RuleError, now: Micros) -> None:
        stream = access_stream(command.context.actor)
        denied = Append(stream, desk.position(stream), (Denied(type(refusal).__name__, command.target),))
        receipt = self._append(desk, command, Outcome((denied,)), now)
        answer = msgspec.json.encode(str(refusal))
        kept = Kept(request, answer, receipt.first_seq, receipt.last_seq, type(refusal).__name__)
        desk.keep_answer(command.context.actor, command.id, kept, now)

    def _append(self, desk: Desk, command: Command, outcome: Outcome, now: Micros) -> Receipt:
        written = list(self._records(desk, command, outcome.appends, now))
        if not written:
            return Receipt(outcome.answer)
        records = [record for record, _ in written]
        leaves = [leaf_of(record) for record in records]
        tiles = completed(desk.tip.frontier, leaves)
        desk.tip.recorded_at = records[-1].recorded_at
        desk.insert(records, leaves, tiles)
        for record, event in written:
            if isinstance(event, EventsRedacted):
                _redact(desk, event)
            if record.audit != Audit.ACCESS.value:
                self._fold(desk, enveloped(record, event))
        return Receipt(outcome.answer, records[0].seq, records[-1].seq)

    def _records(
        self, desk: Desk, command: Command, appends: Sequence[Append], now: Micros
    ) -> Iterator[tuple[Record, object]]:
        seq, at = desk.tip.frontier.size, now
        ahead: dict[StreamId, int] = {}
        for append in appends:
            position = ahead.get(append.stream)
            if position is None:
                position = desk.position(append.stream)
            if position != append.expected:
                msg = f"stream {append.stream} is at {position}, not {append.expected}"
                raise ConflictError(msg)
            for event in append.events:
                seq, position = seq + 1, position + 1
                yield self._record(command, append.stream, event, seq=seq, position=position, at=at), event
                at += 1
            ahead[append.stream] = position

    def _record(
        self, command: Command, stream: StreamId, event: object, *, seq: int, position: int, at: Micros
    ) -> Record:
        written = fitting(self.codec.encode(event))
        random = self.random(2 * BLIND_BYTES + 16)
        context = command.context
        audit = event.audit if isinstance(event, Event) else Audit.CHANGE
        return Record(
            seq=seq,
            stream=stream,
            position=position,
            type=written.name,
            facts=written.facts,
            facts_blind=random[:BLIND_BYTES],
            words=written.words,
            words_blind=None if written.words is None else random[BLIND_BYTES : 2 * BLIND_BYTES],
            words_commit=None,
            event_id=EventId(random[2 * BLIND_BYTES :].hex()),
            recorded_at=at,
            org=context.organisation,
            audit=audit.value,
            outcome="denied" if isinstance(event, Denied) else "ok",
            actor=context.actor,
            on_behalf_of=context.on_behalf_of,
            run=context.run,
            request=context.request,
            correlation=context.correlation,
            causation=context.causation,
            command=command.id,
            source=context.source,
        )


def _redact(desk: Desk, event: EventsRedacted) -> None:
    """Destroy the words that an event says are destroyed; ConflictError if they are not those."""
    claimed = {seq: bytes.fromhex(text) for seq, text in zip(event.seqs, event.commits, strict=True)}
    there = {held.seq: held for held in desk.words(event.seqs)}
    for seq, commitment in claimed.items():
        if seq not in there or there[seq].committed() != commitment:
            msg = f"event {seq} has no words with this commitment — look at it again"
            raise ConflictError(msg)
    desk.destroy_words({seq: claimed[seq] for seq in claimed if there[seq].words is not None})


def guarded(desk: Desk, run: Callable[[], S]) -> S:
    """Run inside a savepoint: whatever goes wrong leaves nothing."""
    desk.begin()
    try:
        done = run()
    except BaseException:
        desk.undo()
        raise
    desk.keep()
    return done


def _again(kept: Kept, request: bytes) -> Receipt:
    if kept.request != request:
        msg = "this command id was used before, for another request — mint a new id for a new command"
        raise CommandReusedError(msg)
    answer = msgspec.json.decode(kept.answer)
    if kept.refused is not None:
        refusal = getattr(errors, kept.refused, RuleError)
        raise refusal(answer)
    return Receipt(answer, kept.first_seq, kept.last_seq, replayed=True)
