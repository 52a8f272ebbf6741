"""What data is processed for: declared by the controller, looked up for the record of processing."""

from __future__ import annotations

from muniment.app import approvals, scopes
from muniment.app.store import Store
from muniment.app.transact import Request, Steps, new_id
from muniment.domain import processing
from muniment.domain.errors import NotFoundError
from muniment.domain.hold import ScopeKind
from muniment.domain.ports import Views
from muniment.domain.processing import ActivityDeclared, LegalBasis, Part
from muniment.domain.rows import ActivityRow


def declare(  # noqa: PLR0913 (all that the record asks for)
    store: Store,
    scope: ScopeKind,
    target: str,
    *,
    name: str,
    purpose: str,
    part: Part = Part.CONTROLLER,
    legal_basis: LegalBasis | None = None,
    special: bool = False,
    subject_categories: str | None = None,
    data_categories: str | None = None,
    recipients: str | None = None,
    transfers: str | None = None,
    retention: str | None = None,
    measures: str | None = None,
    contacts: str | None = None,
    activity_id: str | None = None,
) -> ActivityRow:
    """Declare what data in a scope is processed for, or, with an id, declare it anew.

    *contacts* names controller, representative and data protection officer, and is kept where it can be forgotten.
    Only an admin of the organisation may.
    """
    scopes.require(store.views, scope, target)
    id_ = new_id() if activity_id is None else activity(store.views, activity_id).activity_id
    kept = store.keep(id_, contacts=contacts)["contacts"]
    wanted = ActivityDeclared(
        scope=scope,
        target=target,
        part=part,
        special=special,
        name=name,
        purpose=purpose,
        legal_basis=legal_basis,
        subject_categories=subject_categories,
        data_categories=data_categories,
        recipients=recipients,
        transfers=transfers,
        retention=retention,
        measures=measures,
        contacts=kept,
    )

    def decide(steps: Steps) -> None:
        approvals.require_admin(steps.views, store.context, "declare what data is processed for")
        steps.step(processing.ACTIVITY, id_, processing.declare_activity, wanted)

    store.transact(Request("declare activity", [scope.value, part.value], target), decide)
    return activity(store.views, id_)


def end(store: Store, activity_id: str) -> None:
    """Say that data is not processed for this any more."""
    row = activity(store.views, activity_id)

    def decide(steps: Steps) -> None:
        approvals.require_admin(steps.views, store.context, "end an activity")
        steps.step(processing.ACTIVITY, row.activity_id, processing.end_activity)

    store.transact(Request("end activity", None, row.activity_id), decide)


def activity(views: Views, activity_id: str) -> ActivityRow:
    """Return an activity that goes on by its id."""
    row = views.find(ActivityRow, activity_id=activity_id)
    if row is None:
        msg = f"there is no activity {activity_id} — see: muniment activity list"
        raise NotFoundError(msg)
    return row


def listed(views: Views, at: int | None = None) -> list[ActivityRow]:
    """Return the activities that go on, in the order in which they were declared last."""
    return views.select(ActivityRow, at=at, order="declared_at")
