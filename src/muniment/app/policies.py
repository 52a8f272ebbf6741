"""Retention policies: setting, removing and finding them."""

from __future__ import annotations

from collections.abc import Callable

from muniment.app import approvals, scopes
from muniment.app.store import Store
from muniment.app.transact import Request, Steps, new_id
from muniment.domain import policy as policies
from muniment.domain.approval import Act
from muniment.domain.errors import NotFoundError
from muniment.domain.hold import ScopeKind
from muniment.domain.policy import PolicySet, Terms
from muniment.domain.ports import Views
from muniment.domain.rows import PolicyRow


def set_policy(
    store: Store,
    scope: ScopeKind,
    target: str,
    terms: Terms,
    *,
    type_: str | None = None,
    citation: str | None = None,
) -> PolicyRow:
    """Set how long what is in a scope is kept, in place of the policy that has the same scope and start.

    Shortening what was set takes an approval. Only an admin of the organisation may.
    """
    wanted = PolicySet(scope, target, terms, citation is not None, type_, citation)
    return policy(store.views, put(store, wanted))


def put(store: Store, wanted: PolicySet) -> str:
    """Set a policy; return its id."""
    id_ = id_of(store.views, wanted)

    def decide(steps: Steps) -> None:
        approvals.require_admin(steps.views, store.context, "set a retention policy")
        scopes.require(steps.views, wanted.scope, wanted.target)
        _change(steps, id_, wanted.terms, lambda: steps.step(policies.POLICY, id_, policies.set_policy, wanted))

    store.transact(Request("set policy", [wanted.scope.value, repr(wanted.terms)], wanted.target), decide)
    return id_


def id_of(views: Views, wanted: PolicySet) -> str:
    """Return the id of the policy that has the same scope and start, or a new one."""
    type_ = wanted.type if isinstance(wanted.type, str) else None
    there = (
        row for row in of_scope(views, wanted.scope, wanted.target, type_) if row.start == wanted.terms.start.value
    )
    return next((row.policy_id for row in there), None) or new_id()


def remove_policy(store: Store, policy_id: str) -> None:
    """Let a policy count no more; giving up a minimum takes an approval."""
    row = policy(store.views, policy_id)

    def decide(steps: Steps) -> None:
        approvals.require_admin(steps.views, store.context, "remove a retention policy")
        _change(steps, row.policy_id, None, lambda: steps.step(policies.POLICY, row.policy_id, policies.remove_policy))

    store.transact(Request("remove policy", None, row.policy_id), decide)


def policy(views: Views, policy_id: str) -> PolicyRow:
    """Return a policy in force by its id."""
    row = views.find(PolicyRow, policy_id=policy_id)
    if row is None:
        msg = f"there is no policy {policy_id} — see: muniment retention list"
        raise NotFoundError(msg)
    return row


def of_scope(views: Views, scope: ScopeKind, target: str, type_: str | None = None) -> list[PolicyRow]:
    """Return the policies of one scope."""
    rows = views.select(PolicyRow, scope=scope.value, target=target, order="set_at")
    return [row for row in rows if row.type == type_]


def _change(steps: Steps, policy_id: str, wanted: Terms | None, act: Callable[[], object]) -> None:
    """Change a policy, using up an approval if something may go earlier afterwards."""
    needed: list[bool] = []

    def look(state: policies.Policy) -> list[policies.PolicyEvent]:
        needed.append(policies.needs_approval(state, wanted))
        return []

    steps.step(policies.POLICY, policy_id, look)
    if act() and needed[0]:
        approvals.carry_out(steps, Act.SHORTEN_RETENTION, policy_id)
