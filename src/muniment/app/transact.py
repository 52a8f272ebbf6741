"""One command, one transaction: load what is needed, decide step by step, append it all at once."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Concatenate, ParamSpec, TypeVar, cast

from attrs import define, field, frozen

from muniment.app.logs import kind_of, say
from muniment.app.telemetry import call
from muniment.domain.decider import Decider
from muniment.domain.errors import MunimentError, NotFoundError, RuleError
from muniment.domain.ports import Append, Command, Context, Ledger, Outcome, Receipt, Scratch, Transaction, Views
from muniment.domain.values import CommandId, Json, Micros, StreamId

_LOG = logging.getLogger(__name__)

S = TypeVar("S")
E = TypeVar("E")
P = ParamSpec("P")


def new_id() -> str:
    """Return a new id: 16 random bytes as hexadecimal characters."""
    return secrets.token_hex(16)


@define
class Steps:
    """What a command decides, step by step, inside the write transaction."""

    _transaction: Transaction
    _appends: dict[StreamId, Append] = field(factory=dict)

    @property
    def now(self) -> Micros:
        """The time at which this command happens."""
        return self._transaction.now

    @property
    def views(self) -> Views:
        """The rows as they were before this command."""
        return self._transaction.views

    @property
    def scratch(self) -> Scratch:
        """The rows that are not facts."""
        return self._transaction.scratch

    def step(
        self,
        decider: Decider[S, E],
        stream: str,
        decision: Callable[Concatenate[S, P], Sequence[E]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Sequence[E]:
        """Decide about one stream; what was decided before in this command counts."""
        id_ = StreamId(stream)
        state, position = self._transaction.load(decider, id_)
        before = self._appends.get(id_, Append(id_, position, ()))
        for event in before.events:
            state = decider.evolve(state, cast("E", event))
        events = decision(state, *args, **kwargs)
        if events:
            self._appends[id_] = Append(id_, before.expected, (*before.events, *events))
        return events

    def append(self, stream: str, *events: object) -> None:
        """Append facts that need no decision."""
        id_ = StreamId(stream)
        before = self._appends.get(id_) or Append(id_, self._transaction.position(id_), ())
        self._appends[id_] = Append(id_, before.expected, (*before.events, *events))

    def position(self, stream: str) -> int:
        """Return the position of a stream's last event, those of this command counted."""
        id_ = StreamId(stream)
        before = self._appends.get(id_)
        return before.expected + len(before.events) if before else self._transaction.position(id_)

    def outcome(self, answer: Json) -> Outcome:
        """Return all that was decided."""
        return Outcome(tuple(self._appends.values()), answer)


@frozen
class Request:
    """What is asked for: a name for the act, its arguments, and the id of what it is about."""

    act: str
    arguments: Json = None
    target: str | None = None
    command: CommandId | None = None


def transact(ledger: Ledger, context: Context, request: Request, decide: Callable[[Steps], Json]) -> Receipt:
    """Run one command; its id is minted here unless the caller wants to be able to try again."""

    def run(transaction: Transaction) -> Outcome:
        steps = Steps(transaction)
        return steps.outcome(decide(steps))

    id_ = request.command or CommandId(new_id())
    command = Command(id_, context, [request.act, request.arguments], request.target)
    began = time.perf_counter()
    try:
        receipt = call("transact", lambda: _append(ledger, command, run), {"act": request.act, "command": id_}, _seqs)
    except MunimentError as error:
        level = logging.INFO if isinstance(error, RuleError | NotFoundError) else logging.WARNING
        say(_LOG, level, "a command was refused or failed", **_facts(command, request, began), error=kind_of(error))
        raise
    say(_LOG, logging.INFO, "a command was carried out", **_facts(command, request, began), **_seqs(receipt))
    return receipt


def _append(ledger: Ledger, command: Command, run: Callable[[Transaction], Outcome]) -> Receipt:
    return call("ledger.append", lambda: ledger.transact(command, run), {}, _count)


def _count(receipt: Receipt) -> Mapping[str, int]:
    """Return how many events a command led to."""
    if receipt.first_seq is None or receipt.last_seq is None:
        return {"events": 0}
    return {"events": receipt.last_seq - receipt.first_seq + 1}


def _seqs(receipt: Receipt) -> Mapping[str, int | None]:
    return {"first_seq": receipt.first_seq, "last_seq": receipt.last_seq}


def _facts(command: Command, request: Request, began: float) -> dict[str, str | float | None]:
    """Return what logs say of a command: its name and ids, never its arguments, which people typed."""
    spent = round((time.perf_counter() - began) * 1000, 3)
    return {"act": request.act, "command": command.id, "source": command.context.source, "milliseconds": spent}
