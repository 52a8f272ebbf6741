"""What the suite of the ledger does to one: small commands, and a print of all that it holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import define, evolve, field

from muniment.app.transact import new_id
from muniment.domain import artifact
from muniment.domain.ports import (
    Append,
    Command,
    Context,
    Ledger,
    Outcome,
    Receipt,
    Recorded,
    Transaction,
)
from muniment.domain.project import ProjectCreated
from muniment.domain.values import (
    CommandId,
    Digest,
    Json,
    Micros,
    OrganisationId,
    PrincipalId,
    StreamId,
    TeamId,
    VersionId,
)

START: Micros = 1_700_000_000_000_000
ACTOR = PrincipalId("ac" * 16)
CONTEXT = Context(OrganisationId("0c" * 16), ACTOR, "test")
TEAM = TeamId("7e" * 16)
P, Q = StreamId("aa" * 16), StreamId("bb" * 16)


@define
class Dial:
    """A clock that stands still until a test turns it."""

    now: Micros = START

    def __call__(self) -> Micros:
        return self.now


def created(name: str) -> ProjectCreated:
    return ProjectCreated(TEAM, name)


def version(of: str = "00") -> artifact.VersionCreated:
    return artifact.VersionCreated(VersionId(new_id()), Digest(of * 32), Digest("f0" * 32), 1, 1)


def command(asked: Json = None, target: str | None = None, **context: Any) -> Command:
    return Command(CommandId(new_id()), evolve(CONTEXT, **context), asked, target)


def decided(*appends: Append, answer: Json = None) -> Callable[[Transaction], Outcome]:
    return lambda _: Outcome(appends, answer)


def append(ledger: Ledger, stream: StreamId, *events: object, expected: int = 0, **context: Any) -> Receipt:
    return ledger.transact(command(**context), decided(Append(stream, expected, events)))


def raising(error: Exception) -> Callable[[Transaction], Outcome]:
    def decide(transaction: Transaction) -> Outcome:
        transaction.scratch.put("note", "left", 1)
        raise error

    return decide


@define
class Counted:
    """A decision that counts how often it is asked."""

    outcome: Outcome
    calls: int = 0

    def __call__(self, _: Transaction) -> Outcome:
        self.calls += 1
        return self.outcome


@define
class Print:
    """All that a ledger holds, to see whether anything changed."""

    size: int
    root: bytes
    rows: list[bytes] = field(repr=False)
    scratch: list[tuple[str, Json]]

    @classmethod
    def of(cls, ledger: Ledger) -> Print:
        head = ledger.head()
        return cls(head.size, head.root, list(ledger.dump()), ledger.scratch.items("note"))


def events(ledger: Ledger, **where: Any) -> list[Recorded]:
    return list(ledger.read(**where))
