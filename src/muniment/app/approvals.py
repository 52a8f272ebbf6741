"""Acts that take two people: one proposes, another approves, and the act uses the approval up."""

from __future__ import annotations

from muniment.app import directory
from muniment.app.store import Store
from muniment.app.transact import Request, Steps, new_id
from muniment.domain import approval
from muniment.domain.approval import Act, Stage
from muniment.domain.errors import ApprovalNeededError, NotFoundError, PermissionDeniedError
from muniment.domain.hold import ScopeKind
from muniment.domain.ports import Context, Views
from muniment.domain.registry import require_role
from muniment.domain.rows import HoldRow, MemberRow, OrganisationRow, PolicyRow, ProposalRow, RequestRow
from muniment.domain.values import Micros, PrincipalId, Role


def propose(store: Store, act: Act, target: str, reason: str | None = None) -> str:
    """Propose an act on the thing with the id *target*; return the id of the proposal, which lasts 30 days."""
    id_ = new_id()
    kept = store.keep(_keeper(store.views, act, target) or id_, reason=reason)["reason"]

    def decide(steps: Steps) -> None:
        require_admin(steps.views, store.context, f"propose to {act.value}")
        _require_target(steps.views, act, target)
        wanted = approval.Proposed(act, target, people(store.context), steps.now + approval.LASTS, kept)
        steps.step(approval.APPROVAL, id_, approval.propose, wanted)

    store.transact(Request("propose", [act.value, target], target), decide)
    return id_


def approve(store: Store, proposal_id: str) -> ProposalRow:
    """Agree to what somebody else proposed."""
    row = proposal(store.views, proposal_id)

    def decide(steps: Steps) -> None:
        require_admin(steps.views, store.context, f"approve to {row.act}")
        if row.proposed_by in people(store.context) and (alone := how_to_be_two(steps.views)):
            msg = f"who proposed an act cannot approve it, and you are the only admin{alone}"
            raise PermissionDeniedError(msg)
        steps.step(approval.APPROVAL, row.proposal_id, approval.approve, people(store.context), steps.now)

    store.transact(Request("approve", None, row.target), decide)
    return proposal(store.views, row.proposal_id)


def withdraw(store: Store, proposal_id: str) -> None:
    """Take a proposal back, or refuse one."""
    row = proposal(store.views, proposal_id)

    def decide(steps: Steps) -> None:
        require_admin(steps.views, store.context, "withdraw a proposal")
        steps.step(approval.APPROVAL, row.proposal_id, approval.withdraw)

    store.transact(Request("withdraw", None, row.target), decide)


def proposal(views: Views, proposal_id: str) -> ProposalRow:
    """Return a proposal by its id."""
    row = views.find(ProposalRow, proposal_id=proposal_id)
    if row is None:
        msg = f"there is no proposal {proposal_id} — see: muniment approval list"
        raise NotFoundError(msg)
    return row


def listed(views: Views, now: Micros, *, everything: bool = False) -> list[ProposalRow]:
    """Return the proposals that can be approved or carried out at *now*, or all there ever were."""
    if everything:
        return views.select(ProposalRow, order="proposed_at")
    stages = (Stage.PROPOSED, Stage.APPROVED)
    rows = [row for stage in stages for row in views.select(ProposalRow, state=stage.value, order="proposed_at")]
    return sorted((row for row in rows if row.expires_at > now), key=lambda row: (row.proposed_at, row.proposal_id))


def carry_out(steps: Steps, act: Act, target: str) -> None:
    """Use up an approval inside the command that it is for; ApprovalNeededError says what is missing."""
    usable = of_act(steps.views, act, target, Stage.APPROVED, steps.now)
    if usable is not None:
        steps.step(approval.APPROVAL, usable.proposal_id, approval.carry_out, act, target, steps.now)
        return
    waiting = of_act(steps.views, act, target, Stage.PROPOSED, steps.now)
    if waiting is not None:
        way_out = f"another admin runs: muniment approval approve {waiting.proposal_id}"
    else:
        way_out = f"run: muniment approval propose {act.value} {target}, then let another admin approve it"
    msg = f"{act.value} of {target} takes two people — {way_out}{how_to_be_two(steps.views)}"
    raise ApprovalNeededError(msg)


def of_act(views: Views, act: Act, target: str, stage: Stage, now: Micros) -> ProposalRow | None:
    """Return the first proposal of an act that is at a stage and can be used at *now*."""
    rows = views.select(ProposalRow, act=act.value, target=target, order="proposed_at")
    return next((row for row in rows if row.state == stage.value and row.expires_at > now), None)


def _keeper(views: Views, act: Act, target: str) -> str | None:
    """Return the data subject whom a proposed act is about, under whose key its reason is kept; ``None`` if nobody."""
    if act in {Act.ERASE, Act.REFUSE_ERASURE}:
        row = views.find(RequestRow, request_id=target)
        return None if row is None else row.subject_id
    hold = views.find(HoldRow, hold_id=target) if act is Act.RELEASE_HOLD else None
    return hold.target if hold is not None and hold.scope == ScopeKind.SUBJECT.value else None


def _require_target(views: Views, act: Act, target: str) -> None:
    """Refuse to propose about a hold or policy not in force, or no request: nobody is to approve a slip of the pen."""
    hold = views.find(HoldRow, hold_id=target) if act is Act.RELEASE_HOLD else None
    if act is Act.RELEASE_HOLD and (hold is None or hold.released_at is not None):
        msg = f"no hold {target} is in force — see: muniment hold list"
        raise NotFoundError(msg)
    if act is Act.SHORTEN_RETENTION and views.find(PolicyRow, policy_id=target) is None:
        msg = f"no policy {target} is in force — see: muniment retention list"
        raise NotFoundError(msg)
    if act in {Act.ERASE, Act.REFUSE_ERASURE} and views.find(RequestRow, request_id=target) is None:
        msg = f"there is no request {target} — see: muniment request list"
        raise NotFoundError(msg)


def people(context: Context) -> tuple[PrincipalId, ...]:
    """Return who acts, and for whom."""
    return (context.actor,) if context.on_behalf_of is None else (context.actor, context.on_behalf_of)


def require_admin(views: Views, context: Context, act: str) -> None:
    """Refuse what only an admin of the organisation may do."""
    require_role(directory.role_of(views, context.organisation, context.actor), Role.ADMIN, act)


def how_to_be_two(views: Views) -> str:
    """Return how to add a second admin where no organisation has one, or nothing; the end of an error's line."""
    alone = [row for row in views.select(OrganisationRow, order="name") if not _has_two_admins(views, row)]
    if not alone or len(alone) < views.count(OrganisationRow, order="name"):
        return ""
    return f" — add a second admin first: muniment org member {alone[0].name or alone[0].organisation_id} LOGIN admin"


def _has_two_admins(views: Views, organisation: OrganisationRow) -> bool:
    members = views.select(MemberRow, scope_id=organisation.organisation_id, order="member_id")
    return sum(row.role == Role.ADMIN.value for row in members) > 1
