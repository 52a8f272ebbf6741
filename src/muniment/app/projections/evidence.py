"""Approvals, holds, policies, data subjects and their requests: what may go, what must, and who agreed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, get_args

from muniment.app.projections.catalog import known, slot
from muniment.domain import approval, data_subject, hold, policy, request
from muniment.domain.approval import Stage as ApprovalStage
from muniment.domain.data_subject import Standing
from muniment.domain.ports import Recorded
from muniment.domain.request import Stage
from muniment.domain.rows import (
    Cell,
    Change,
    Close,
    DataSubjectRow,
    HoldRow,
    Insert,
    Patch,
    PolicyRow,
    ProposalRow,
    Put,
    RequestRow,
    SubjectEntryRow,
    SubjectTargetRow,
)

PLACED, RELEASED = "placed", "released"
_UNIONS: Final = (
    approval.ApprovalEvent,
    hold.HoldEvent,
    policy.PolicyEvent,
    data_subject.SubjectEvent,
    request.RequestEvent,
)
_OURS: Final = frozenset(class_ for union in _UNIONS for class_ in get_args(union))


def fold(recorded: Recorded) -> Sequence[Change]:
    """Return what an event changes about what may be removed and what must be."""
    if type(recorded.event) not in _OURS:
        return ()
    return _approval(recorded) or _hold(recorded) or _policy(recorded) or _subject(recorded) or _request(recorded)


def _approval(recorded: Recorded) -> Sequence[Change]:
    id_ = recorded.stream
    match recorded.event:
        case approval.Proposed(act=act, target=target, expires_at=expires_at, reason=reason):
            row = ProposalRow(
                proposal_id=id_,
                act=act.value,
                target=target,
                state=ApprovalStage.PROPOSED.value,
                proposed_by=recorded.actor,
                approved_by=None,
                proposed_at=recorded.recorded_at,
                expires_at=expires_at,
                reason=slot(reason),
            )
            return [Insert(row)]
        case approval.Approved():
            columns = {"state": ApprovalStage.APPROVED.value, "approved_by": recorded.actor}
            return [Patch(ProposalRow, (id_,), columns)]
        case approval.Withdrawn():
            return [Patch(ProposalRow, (id_,), {"state": ApprovalStage.WITHDRAWN.value})]
        case approval.CarriedOut():
            return [Patch(ProposalRow, (id_,), {"state": ApprovalStage.CARRIED_OUT.value})]
        case _:
            return ()


def _hold(recorded: Recorded) -> Sequence[Change]:
    id_, at = recorded.stream, recorded.recorded_at
    match recorded.event:
        case hold.HoldPlaced() as placed:
            row = HoldRow(
                hold_id=id_,
                state=PLACED,
                kind=placed.kind.value,
                scope=placed.scope.value,
                target=placed.target,
                tag=known(placed.tag),
                matter=placed.matter.slot,
                placed_by=recorded.actor,
                placed_at=at,
                review_by=placed.review_by,
                released_at=None,
            )
            return [Insert(row)]
        case hold.HoldReviewed(review_by=review_by):
            return [Patch(HoldRow, (id_,), {"review_by": review_by})]
        case hold.HoldReleased():
            return [Patch(HoldRow, (id_,), {"state": RELEASED, "released_at": at})]
        case _:
            return ()


def _policy(recorded: Recorded) -> Sequence[Change]:
    match recorded.event:
        case policy.PolicySet(
            scope=scope, target=target, terms=terms, statutory=statutory, type=type_, citation=citation
        ):
            row = PolicyRow(
                policy_id=recorded.stream,
                scope=scope.value,
                target=target,
                type=known(type_),
                start=terms.start.value,
                minimum=terms.minimum,
                maximum=terms.maximum,
                ending=terms.ending.value,
                keep_last=terms.keep_last,
                citation=known(citation),
                statutory=int(statutory),
                set_by=recorded.actor,
                set_at=recorded.recorded_at,
            )
            return [Put(row)]
        case policy.PolicyRemoved():
            return [Close(PolicyRow, (recorded.stream,))]
        case _:
            return ()


def _subject(recorded: Recorded) -> Sequence[Change]:
    id_ = recorded.stream
    match recorded.event:
        case data_subject.SubjectRegistered(identity=identity):
            standing = Standing.REGISTERED.value
            return [Insert(DataSubjectRow(id_, identity.slot, standing, None, recorded.recorded_at))]
        case data_subject.SubjectAttached(kind=kind, target=target):
            return [Put(SubjectTargetRow(id_, target, kind.value))]
        case data_subject.SubjectDetached(target=target):
            return [Close(SubjectTargetRow, (id_, target))]
        case data_subject.EntriesAttached(version_id=version_id, entry_ids=entry_ids, paths=paths):
            told = dict(enumerate(known(paths) or ()))
            return [Put(SubjectEntryRow(each, id_, version_id, told.get(at))) for at, each in enumerate(entry_ids)]
        case data_subject.EntriesDetached(entry_ids=entry_ids):
            return [Close(SubjectEntryRow, (id_, entry_id)) for entry_id in entry_ids]
        case data_subject.SubjectFenced(request_id=request_id):
            return [_standing(id_, Standing.FENCED, request_id)]
        case data_subject.FenceLifted():
            return [_standing(id_, Standing.REGISTERED, None)]
        case data_subject.SubjectErased(request_id=request_id):
            return [_standing(id_, Standing.ERASED, request_id)]
        case _:
            return ()


def _standing(subject_id: str, standing: Standing, request_id: str | None) -> Patch:
    return Patch(DataSubjectRow, (subject_id,), {"standing": standing.value, "request_id": request_id})


def _request(recorded: Recorded) -> Sequence[Change]:
    if isinstance(recorded.event, request.RequestReceived):
        return [Insert(_received(recorded, recorded.event))]
    columns = _progress(recorded)
    return [Patch(RequestRow, (recorded.stream,), columns)] if columns else ()


def _received(recorded: Recorded, received: request.RequestReceived) -> RequestRow:
    return RequestRow(
        request_id=recorded.stream,
        right=received.right.value,
        subject_id=received.subject_id,
        stage=Stage.RECEIVED.value,
        received_at=received.received_at,
        due_at=received.due_at,
        text=slot(received.text),
        verdict=None,
        exemption=None,
        ground=None,
        kept=None,
        found=0,
        erased=0,
        residual=0,
        certificate_id=None,
        certificate=None,
        decided_at=None,
        closed_at=None,
    )


def _progress(recorded: Recorded) -> dict[str, Cell]:
    match recorded.event:
        case request.RequestExtended(due_at=due_at):
            return {"due_at": due_at}
        case request.IdentityConfirmed():
            return {"stage": Stage.IDENTIFIED.value}
        case request.RequestScoped(found=found):
            return {"stage": Stage.SCOPED.value, "found": found}
        case request.RequestDecided(verdict=verdict, exemption=exemption, ground=ground, kept=kept):
            return {
                "stage": Stage.DECIDED.value,
                "verdict": verdict.value,
                "exemption": exemption.value if exemption else None,
                "ground": slot(ground),
                "kept": "\n".join(kept),
                "decided_at": recorded.recorded_at,
            }
        case request.ErasureFenced() | request.RequestReopened():
            return {"stage": Stage.FENCED.value}
        case request.RequestExecuted(erased=erased, residual=residual):
            return {"stage": Stage.EXECUTED.value, "erased": erased, "residual": residual}
        case request.ErasureVerified():
            return {"stage": Stage.VERIFIED.value}
        case request.CertificateIssued(certificate_id=certificate_id, content=content):
            certified = {"certificate_id": certificate_id, "certificate": content.slot}
            return {"stage": Stage.CERTIFIED.value, **certified}
        case request.RequestClosed():
            return {"stage": Stage.CLOSED.value, "closed_at": recorded.recorded_at}
        case _:
            return {}
