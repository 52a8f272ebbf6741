"""Acts that take two people: one proposes, another approves, and the act uses the approval up."""

from __future__ import annotations

from muniment.app import directory
from muniment.app.store import Store
from muniment.app.transact import Request, Steps, new_id
from muniment.domain import approval
from muniment.domain.approval import Act, Stage
from muniment.domain.errors import ApprovalNeededError, NotFoundError
from muniment.domain.ports import Context, Views
from muniment.domain.registry import require_role
from muniment.domain.rows import MemberRow, ProposalRow
from muniment.domain.values import Micros, PrincipalId, Role


def propose(store: Store, act: Act, target: str, reason: str | None = None) -> str:
    """Propose an act on the thing with the id *target*; return the id of the proposal, which lasts 30 days."""
    id_ = new_id()
    kept = store.keep(id_, reason=reason)["reason"]

    def decide(steps: Steps) -> None:
        require_admin(steps.views, store.context, f"propose to {act.value}")
        wanted = approval.Proposed(act, target, people(store.context), steps.now + approval.LASTS, kept)
        steps.step(approval.APPROVAL, id_, approval.propose, wanted)

    store.transact(Request("propose", [act.value, target], target), decide)
    return id_


def approve(store: Store, proposal_id: str) -> ProposalRow:
    """Agree to what somebody else proposed."""
    row = proposal(store.views, proposal_id)

    def decide(steps: Steps) -> None:
        require_admin(steps.views, store.context, f"approve to {row.act}")
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
    rows = steps.views.select(ProposalRow, act=act.value, target=target, order="proposed_at")
    usable = [row for row in rows if row.state == Stage.APPROVED.value and row.expires_at > steps.now]
    if usable:
        steps.step(approval.APPROVAL, usable[0].proposal_id, approval.carry_out, act, target, steps.now)
        return
    waiting = [row for row in rows if row.state == Stage.PROPOSED.value and row.expires_at > steps.now]
    if waiting:
        way_out = f"another admin runs: muniment approval approve {waiting[0].proposal_id}"
    else:
        way_out = f"run: muniment approval propose {act.value} {target}, then let another admin approve it"
    msg = f"{act.value} of {target} takes two people — {way_out}"
    raise ApprovalNeededError(msg)


def people(context: Context) -> tuple[PrincipalId, ...]:
    """Return who acts, and for whom."""
    return (context.actor,) if context.on_behalf_of is None else (context.actor, context.on_behalf_of)


def require_admin(views: Views, context: Context, act: str) -> None:
    """Refuse what only an admin of the organisation may do."""
    require_role(directory.role_of(views, context.organisation, context.actor), Role.ADMIN, act)


def has_second_admin(views: Views, context: Context) -> bool:
    """Whether anybody but the actor could approve; where nobody can, a command line says how to add somebody."""
    members = views.select(MemberRow, scope_id=context.organisation, order="member_id")
    return any(row.role == Role.ADMIN.value and row.member_id != context.actor for row in members)
