"""A request of a data subject: received, identified, scoped, decided, carried out, verified, certified; none skipped.

The rights are those of the GDPR, the exemptions those of its Art. 17(3), the deadline that of its Art. 12(3).
"""

from __future__ import annotations

import datetime as dt
import enum
from typing import ClassVar, Final, TypeAlias, assert_never

from attrs import evolve as replace
from attrs import frozen

from muniment.domain.decider import Decider, Event
from muniment.domain.errors import InvalidValueError, NotFoundError
from muniment.domain.values import Audit, Json, Micros, Personal

MONTHS: Final = 1
LONGEST_MONTHS: Final = 3
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICRO: Final = dt.timedelta(microseconds=1)
_YEAR: Final = 12
_SHORTEST_MONTH: Final = 28


class Right(enum.Enum):
    """What the person asks for, with the article of the GDPR."""

    ACCESS = "access"
    RECTIFICATION = "rectification"
    ERASURE = "erasure"
    RESTRICTION = "restriction"
    PORTABILITY = "portability"
    OBJECTION = "objection"


class Exemption(enum.Enum):
    """Why data may be kept although erasure was asked for: the letters of Art. 17(3)."""

    EXPRESSION = "17(3)(a)"
    OBLIGATION = "17(3)(b)"
    HEALTH = "17(3)(c)"
    ARCHIVING = "17(3)(d)"
    CLAIMS = "17(3)(e)"


class Verdict(enum.Enum):
    """What was decided about a request."""

    APPROVED = "approved"
    PARTIAL = "partial"
    REFUSED = "refused"


class Stage(enum.Enum):
    """How far a request is on its way."""

    NONE = "none"
    RECEIVED = "received"
    IDENTIFIED = "identified"
    SCOPED = "scoped"
    DECIDED = "decided"
    FENCED = "fenced"
    EXECUTED = "executed"
    VERIFIED = "verified"
    CERTIFIED = "certified"
    CLOSED = "closed"


ORDER: Final = tuple(Stage)


@frozen
class RequestReceived(Event):
    """Somebody asked for their right; it is due one calendar month after it arrived."""

    audit: ClassVar[Audit] = Audit.GOVERNANCE
    right: Right
    subject_id: str
    received_at: Micros
    due_at: Micros
    text: Personal[str] | None = None


@frozen
class RequestExtended(Event):
    """The deadline was put off, at most to three months after the request arrived, for a reason the person is told."""

    audit: ClassVar[Audit] = Audit.GOVERNANCE
    due_at: Micros
    reason: Personal[str]


@frozen
class IdentityConfirmed(Event):
    """Who asks is the data subject, or may speak for it."""

    audit: ClassVar[Audit] = Audit.GOVERNANCE
    how: Personal[str]


@frozen
class RequestScoped(Event):
    """What the request concerns was looked up in the first *size* events: so many things, and so many nobody tagged."""

    audit: ClassVar[Audit] = Audit.GOVERNANCE
    size: int
    found: int
    derived: int
    untagged: int


@frozen
class RequestDecided(Event):
    """What will be done; of what is *kept* the ids stand here, with the exemption that allows it."""

    audit: ClassVar[Audit] = Audit.GOVERNANCE
    verdict: Verdict
    exemption: Exemption | None = None
    ground: Personal[str] | None = None
    kept: tuple[str, ...] = ()


@frozen
class ErasureFenced(Event):
    """What is to be erased cannot come back from now on."""

    audit: ClassVar[Audit] = Audit.GOVERNANCE


@frozen
class RequestExecuted(Event):
    """It was done: of what was found so much was *erased*, *kept*, or is left as a *residual* copy for a while."""

    audit: ClassVar[Audit] = Audit.GOVERNANCE
    erased: int
    kept: int
    residual: int


@frozen
class ErasureVerified(Event):
    """Another code path looked for what was erased; *findings* is how often it was found."""

    audit: ClassVar[Audit] = Audit.GOVERNANCE
    findings: int
    scanned: int


@frozen
class CertificateIssued(Event):
    """The erasure has a certificate, *content* with a blind; *sealed* is the SHA-256 of its canonical form."""

    audit: ClassVar[Audit] = Audit.GOVERNANCE
    certificate_id: str
    sealed: str
    content: Personal[Json]


@frozen
class RequestClosed(Event):
    """The person was told, and nothing is left to do."""

    audit: ClassVar[Audit] = Audit.GOVERNANCE


@frozen
class RequestReopened(Event):
    """What should be gone was found again, so that it is executed once more."""

    audit: ClassVar[Audit] = Audit.GOVERNANCE
    findings: int


RequestEvent: TypeAlias = (
    RequestReceived
    | RequestExtended
    | IdentityConfirmed
    | RequestScoped
    | RequestDecided
    | ErasureFenced
    | RequestExecuted
    | ErasureVerified
    | CertificateIssued
    | RequestClosed
    | RequestReopened
)


@frozen
class DataRequest:
    """What decisions about a request need to know."""

    stage: Stage = Stage.NONE
    right: Right | None = None
    subject_id: str = ""
    received_at: Micros = 0
    due_at: Micros = 0
    found: int = 0
    verdict: Verdict | None = None


def months_after(moment: Micros, months: int) -> Micros:
    """Return the same time of day *months* calendar months later, on the last day where the month is shorter."""
    then = _EPOCH + moment * _MICRO
    year, month = divmod(then.month - 1 + months, _YEAR)
    day = then.day
    while True:
        try:
            due = then.replace(year=then.year + year, month=month + 1, day=day)
        except ValueError:
            if day <= _SHORTEST_MONTH:
                raise
            day -= 1
        else:
            return (due - _EPOCH) // _MICRO


def receive_request(
    request: DataRequest, right: Right, subject_id: str, received_at: Micros, text: Personal[str] | None = None
) -> list[RequestEvent]:
    """Take a request down, with its deadline."""
    if request.stage is not Stage.NONE:
        return []
    return [RequestReceived(right, subject_id, received_at, months_after(received_at, MONTHS), text)]


def extend_request(request: DataRequest, due_at: Micros, reason: Personal[str] | None) -> list[RequestEvent]:
    """Put the deadline off, by two months at most (Art. 12(3))."""
    _require(request)
    if reason is None:
        msg = "a longer deadline needs a reason, which the person must be told"
        raise InvalidValueError(msg)
    if due_at > months_after(request.received_at, LONGEST_MONTHS):
        msg = "the deadline can be put off to three months after the request arrived at most (GDPR Art. 12(3))"
        raise InvalidValueError(msg)
    return [RequestExtended(due_at, reason)] if due_at > request.due_at else []


def confirm_identity(request: DataRequest, how: Personal[str]) -> list[RequestEvent]:
    """Say that who asks is who they say they are, and how that was seen."""
    return [IdentityConfirmed(how)] if _next(request, Stage.IDENTIFIED) else []


def scope_request(request: DataRequest, size: int, found: int, derived: int, untagged: int) -> list[RequestEvent]:
    """Record what the request concerns; looked up again once it was decided, it is to be decided anew."""
    if request.stage not in {Stage.SCOPED, Stage.DECIDED}:
        _next(request, Stage.SCOPED)
    return [RequestScoped(size, found, derived, untagged)]


def decide_request(
    request: DataRequest,
    verdict: Verdict,
    *,
    exemption: Exemption | None = None,
    ground: Personal[str] | None = None,
    kept: tuple[str, ...] = (),
) -> list[RequestEvent]:
    """Decide; whoever keeps something of an erasure says which exemption allows it and why."""
    if not _next(request, Stage.DECIDED):
        return []
    if request.right is Right.ERASURE and verdict is not Verdict.APPROVED and (exemption is None or ground is None):
        msg = "to keep what was asked to be erased takes an exemption of Art. 17(3) and the ground in words"
        raise InvalidValueError(msg)
    if (verdict is Verdict.PARTIAL) != bool(kept):
        msg = "a partial decision names what is kept, the others keep nothing back or all"
        raise InvalidValueError(msg)
    return [RequestDecided(verdict, exemption, ground, kept)]


def fence_erasure(request: DataRequest) -> list[RequestEvent]:
    """Record that nothing can come back; only erasures that were not refused are fenced."""
    if not _next(request, Stage.FENCED):
        return []
    _require_erasure(request)
    return [ErasureFenced()]


def record_execution(request: DataRequest, erased: int, kept: int, residual: int) -> list[RequestEvent]:
    """Record what was done; nothing that was found may be left out."""
    wanted = Stage.DECIDED if request.right is not Right.ERASURE else Stage.FENCED
    if request.stage is Stage.EXECUTED:
        return []
    if request.stage is not wanted:
        _refuse(request, Stage.EXECUTED)
    if request.right is Right.ERASURE and erased + kept + residual != request.found:
        msg = f"{request.found} things were found, but {erased} erased, {kept} kept and {residual} residual"
        raise InvalidValueError(msg)
    return [RequestExecuted(erased, kept, residual)]


def verify_erasure(request: DataRequest, findings: int, scanned: int) -> list[RequestEvent]:
    """Record what another code path found; if anything, the erasure is to be executed again."""
    if not _next(request, Stage.VERIFIED):
        return []
    _require_erasure(request)
    if findings:
        return [ErasureVerified(findings, scanned), RequestReopened(findings)]
    return [ErasureVerified(0, scanned)]


def certify_erasure(
    request: DataRequest, certificate_id: str, sealed: str, content: Personal[Json]
) -> list[RequestEvent]:
    """Issue the certificate of a verified erasure."""
    if not _next(request, Stage.CERTIFIED):
        return []
    _require_erasure(request)
    return [CertificateIssued(certificate_id, sealed, content)]


def close_request(request: DataRequest) -> list[RequestEvent]:
    """End a request: an erasure once it is certified or refused, another once it was executed or refused."""
    _require(request)
    refused = request.verdict is Verdict.REFUSED and request.stage is Stage.DECIDED
    done = Stage.CERTIFIED if request.right is Right.ERASURE else Stage.EXECUTED
    if request.stage is Stage.CLOSED:
        return []
    if not refused and request.stage is not done:
        _refuse(request, Stage.CLOSED)
    return [RequestClosed()]


def reopen_request(request: DataRequest, findings: int) -> list[RequestEvent]:
    """Begin the execution again, because what should be gone was found later."""
    if request.right is not Right.ERASURE or request.stage not in {Stage.VERIFIED, Stage.CERTIFIED, Stage.CLOSED}:
        msg = "only an erasure that was verified can be reopened"
        raise InvalidValueError(msg)
    _require_erasure(request)
    return [RequestReopened(findings)]


def _require(request: DataRequest) -> None:
    if request.stage is Stage.NONE:
        msg = "there is no such request — see: muniment request list"
        raise NotFoundError(msg)


def _require_erasure(request: DataRequest) -> None:
    if request.right is not Right.ERASURE or request.verdict is Verdict.REFUSED:
        what = "was refused" if request.verdict is Verdict.REFUSED else "is not about erasure"
        msg = f"the request {what}, so there is nothing to fence, verify or certify"
        raise InvalidValueError(msg)


def _next(request: DataRequest, stage: Stage) -> bool:
    """Return whether *stage* is the next one; not if the request is there already, and no stage is ever skipped."""
    _require(request)
    if request.stage is stage:
        return False
    if ORDER.index(request.stage) + 1 != ORDER.index(stage):
        _refuse(request, stage)
    return True


def _refuse(request: DataRequest, stage: Stage) -> None:
    msg = f"the request is {request.stage.value}, and cannot be {stage.value} now — see: muniment request show"
    raise InvalidValueError(msg)


def evolve(request: DataRequest, event: RequestEvent) -> DataRequest:
    """Return the request after *event*."""
    match event:
        case RequestReceived(right=right, subject_id=subject_id, received_at=received_at, due_at=due_at):
            return DataRequest(Stage.RECEIVED, right, subject_id, received_at, due_at)
        case RequestExtended(due_at=due_at):
            return replace(request, due_at=due_at)
        case IdentityConfirmed():
            return replace(request, stage=Stage.IDENTIFIED)
        case RequestScoped(found=found):
            return replace(request, stage=Stage.SCOPED, found=found)
        case RequestDecided(verdict=verdict):
            return replace(request, stage=Stage.DECIDED, verdict=verdict)
        case ErasureFenced() | RequestReopened():
            return replace(request, stage=Stage.FENCED)
        case RequestExecuted():
            return replace(request, stage=Stage.EXECUTED)
        case ErasureVerified():
            return replace(request, stage=Stage.VERIFIED)
        case CertificateIssued():
            return replace(request, stage=Stage.CERTIFIED)
        case RequestClosed():
            return replace(request, stage=Stage.CLOSED)
        case _:
            assert_never(event)


REQUEST: Decider[DataRequest, RequestEvent] = Decider("request", DataRequest(), evolve)
