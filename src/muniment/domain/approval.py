"""An approval: what one person proposes and another must agree to before it may be carried out, once."""

from __future__ import annotations

import enum
from typing import ClassVar, Final, TypeAlias, assert_never

from attrs import evolve as replace
from attrs import frozen

from muniment.domain.decider import Decider, Event
from muniment.domain.errors import ApprovalNeededError, InvalidValueError, NotFoundError, PermissionDeniedError
from muniment.domain.values import Audit, Micros, Personal, PrincipalId

LASTS: Final[Micros] = 30 * 24 * 3600 * 1_000_000
"""How long a proposal can be approved and carried out."""


class Act(enum.Enum):
    """What takes two people."""

    RELEASE_HOLD = "release-hold"
    SHORTEN_RETENTION = "shorten-retention"
    ERASE = "erase"
    REFUSE_ERASURE = "refuse-erasure"
    REDACT = "redact"
    PURGE_AFTER_CLOCK_JUMP = "purge-after-clock-jump"
    DESTROY_KEY = "destroy-key"


@frozen
class Proposed(Event):
    """Somebody proposed an act on *target*; *by* are the proposer and whoever the proposer acted for."""

    audit: ClassVar[Audit] = Audit.GOVERNANCE
    act: Act
    target: str
    by: tuple[PrincipalId, ...]
    expires_at: Micros
    reason: Personal[str] | None = None


@frozen
class Approved(Event):
    """Somebody else agreed; *by* are the approver and whoever the approver acted for."""

    audit: ClassVar[Audit] = Audit.GOVERNANCE
    by: tuple[PrincipalId, ...]


@frozen
class Withdrawn(Event):
    """The proposal was taken back, or refused."""

    audit: ClassVar[Audit] = Audit.GOVERNANCE


@frozen
class CarriedOut(Event):
    """What was approved was done; the approval is used up."""

    audit: ClassVar[Audit] = Audit.GOVERNANCE


ApprovalEvent: TypeAlias = Proposed | Approved | Withdrawn | CarriedOut


class Stage(enum.Enum):
    """How far a proposal is on its way."""

    NONE = "none"
    PROPOSED = "proposed"
    APPROVED = "approved"
    WITHDRAWN = "withdrawn"
    CARRIED_OUT = "carried-out"


@frozen
class Proposal:
    """What decisions about a proposal need to know."""

    stage: Stage = Stage.NONE
    act: Act | None = None
    target: str = ""
    by: tuple[PrincipalId, ...] = ()
    expires_at: Micros = 0


def propose(proposal: Proposal, proposed: Proposed) -> list[ApprovalEvent]:
    """Propose an act, once per proposal."""
    if not proposed.by:
        msg = "a proposal needs somebody who makes it"
        raise InvalidValueError(msg)
    return [proposed] if proposal.stage is Stage.NONE else []


def approve(proposal: Proposal, by: tuple[PrincipalId, ...], now: Micros) -> list[ApprovalEvent]:
    """Agree to a proposal of somebody else; acting for the proposer, or through somebody, makes nobody another one."""
    _require(proposal)
    if proposal.stage is Stage.APPROVED:
        return []
    _require_open(proposal, now)
    if not by or set(by) & set(proposal.by):
        msg = "who proposed an act cannot approve it, nor can somebody who acts for them — ask another admin"
        raise PermissionDeniedError(msg)
    return [Approved(by)]


def withdraw(proposal: Proposal) -> list[ApprovalEvent]:
    """Take a proposal back, or refuse it, as long as it was not carried out."""
    _require(proposal)
    if proposal.stage is Stage.CARRIED_OUT:
        msg = "the proposal was carried out already, so it cannot be withdrawn"
        raise InvalidValueError(msg)
    return [] if proposal.stage is Stage.WITHDRAWN else [Withdrawn()]


def carry_out(proposal: Proposal, act: Act, target: str, now: Micros) -> list[ApprovalEvent]:
    """Use an approval up for exactly the act and target that it was given for."""
    if proposal.stage is not Stage.APPROVED or (proposal.act, proposal.target) != (act, target):
        msg = f"{act.value} of {target} takes two people, and nobody approved it"
        raise ApprovalNeededError(msg)
    if proposal.expires_at <= now:
        msg = f"the approval of {act.value} of {target} is older than 30 days — propose it again"
        raise ApprovalNeededError(msg)
    return [CarriedOut()]


def _require(proposal: Proposal) -> None:
    if proposal.stage is Stage.NONE:
        msg = "there is no such proposal — see: muniment approval list"
        raise NotFoundError(msg)


def _require_open(proposal: Proposal, now: Micros) -> None:
    if proposal.stage is not Stage.PROPOSED:
        msg = f"the proposal was {proposal.stage.value} — propose the act again"
        raise InvalidValueError(msg)
    if proposal.expires_at <= now:
        msg = "the proposal is older than 30 days — propose the act again"
        raise InvalidValueError(msg)


def evolve(proposal: Proposal, event: ApprovalEvent) -> Proposal:
    """Return the proposal after *event*."""
    match event:
        case Proposed(act=act, target=target, by=by, expires_at=expires_at):
            return Proposal(Stage.PROPOSED, act, target, by, expires_at)
        case Approved():
            return replace(proposal, stage=Stage.APPROVED)
        case Withdrawn():
            return replace(proposal, stage=Stage.WITHDRAWN)
        case CarriedOut():
            return replace(proposal, stage=Stage.CARRIED_OUT)
        case _:
            assert_never(event)


APPROVAL: Decider[Proposal, ApprovalEvent] = Decider("approval", Proposal(), evolve)
