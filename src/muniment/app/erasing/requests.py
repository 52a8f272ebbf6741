"""Requests of data subjects: taken down with their deadline, and led from step to step until they are closed.

What an erasure does is in ``erasure``; what it concerns, in ``scoping``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from muniment.app import approvals
from muniment.app.erasing import data_subjects, scoping
from muniment.app.erasing.scoping import Scope
from muniment.app.store import Store
from muniment.app.transact import Request, Steps, new_id
from muniment.domain import request as requests
from muniment.domain.approval import Act
from muniment.domain.errors import InvalidValueError, NotFoundError
from muniment.domain.ports import SlotDraft, Views
from muniment.domain.request import REQUEST, Exemption, RequestEvent, Right, Stage, Verdict
from muniment.domain.rows import RequestRow
from muniment.domain.values import Micros

DONE = frozenset({Stage.CLOSED.value})


def receive(
    store: Store, right: Right, subject_id: str, *, text: str | None = None, received_at: Micros | None = None
) -> RequestRow:
    """Take down what a data subject asks for; it is due one calendar month after it arrived.

    What the person wrote is kept under the key of the data subject, and goes with it.
    """
    data_subjects.subject(store.views, subject_id)
    id_, now = new_id(), store.clock()
    arrived = now if received_at is None else received_at
    if arrived > now:
        msg = "a request cannot arrive in the future — check the date"
        raise InvalidValueError(msg)
    kept = store.keep(subject_id, text=text)["text"]
    _step(store, "receive request", id_, requests.receive_request, right, subject_id, arrived, kept)
    return request(store.views, id_)


def extend(store: Store, request_id: str, due_at: Micros, reason: str) -> RequestRow:
    """Put the deadline off, for a reason that the person is told and that goes with what is known of the person."""
    (kept,) = store.vault.put_many([SlotDraft(request(store.views, request_id).subject_id, "reason", reason)])
    return _step(store, "extend request", request_id, requests.extend_request, due_at, kept)


def identify(store: Store, request_id: str, how: str) -> RequestRow:
    """Say that who asks is the data subject, and how that was seen."""
    if not how.strip():
        msg = "say how the identity was seen, such as 'passport shown in person'"
        raise InvalidValueError(msg)
    (kept,) = store.vault.put_many([SlotDraft(request(store.views, request_id).subject_id, "how", how)])
    return _step(store, "identify request", request_id, requests.confirm_identity, kept)


def scope(store: Store, request_id: str) -> Scope:
    """Look up what a request concerns, and record how much that is."""
    found = scoping.scope(store, request(store.views, request_id).subject_id)
    counts = (found.size, len(found.items), len(found.derived), found.untagged)
    _step(store, "scope request", request_id, requests.scope_request, *counts)
    return found


def decide(
    store: Store,
    request_id: str,
    verdict: Verdict,
    *,
    exemption: Exemption | None = None,
    ground: str | None = None,
    kept: Sequence[str] = (),
) -> RequestRow:
    """Decide what is done; an erasure, and to refuse one, takes two people. *kept* are ids of what is not erased."""
    row = request(store.views, request_id)
    _require_found(store, row, kept)
    said = store.keep(request_id, ground=ground)["ground"]

    def deciding(steps: Steps) -> None:
        approvals.require_admin(steps.views, store.context, "decide about requests of data subjects")
        events = steps.step(
            REQUEST,
            request_id,
            requests.decide_request,
            verdict,
            exemption=exemption,
            ground=said,
            kept=tuple(sorted(set(kept))),
        )
        if events and row.right == Right.ERASURE.value:
            act = Act.REFUSE_ERASURE if verdict is Verdict.REFUSED else Act.ERASE
            approvals.carry_out(steps, act, request_id)

    store.transact(Request("decide request", [verdict.value, *sorted(set(kept))], request_id), deciding)
    return request(store.views, request_id)


def execute(store: Store, request_id: str) -> RequestRow:
    """Say that what was asked for was done; an erasure is carried out by ``erasure`` instead."""
    row = request(store.views, request_id)
    if row.right == Right.ERASURE.value:
        msg = "an erasure is not said to be done, it is carried out — run: muniment request erase"
        raise InvalidValueError(msg)
    return _step(store, "execute request", request_id, requests.record_execution, 0, 0, 0)


def close(store: Store, request_id: str) -> RequestRow:
    """End a request once the person was told what came of it."""
    return _step(store, "close request", request_id, requests.close_request)


def request(views: Views, request_id: str) -> RequestRow:
    """Return a request by its id."""
    row = views.find(RequestRow, request_id=request_id)
    if row is None:
        msg = f"there is no request {request_id} — see: muniment request list"
        raise NotFoundError(msg)
    return row


def listed(views: Views, *, everything: bool = False) -> list[RequestRow]:
    """Return the requests that are not closed, or all there ever were, the one that is due first in front."""
    rows = views.select(RequestRow, order="received_at")
    return sorted((row for row in rows if everything or row.stage not in DONE), key=lambda row: row.due_at)


def _require_found(store: Store, row: RequestRow, kept: Sequence[str]) -> None:
    ids = {item.id for item in scoping.items(store, data_subjects.attached(store.views, row.subject_id))}
    strange = next((each for each in kept if each not in ids), None)
    if strange is not None:
        msg = f"{strange} is not in the scope of the request — the ids are in: muniment request scope {row.request_id}"
        raise InvalidValueError(msg)


def _step(
    store: Store, act: str, request_id: str, decision: Callable[..., Sequence[RequestEvent]], *said: object
) -> RequestRow:
    plain = [each for each in said if isinstance(each, str | int) and not isinstance(each, bool)]

    def decide_(steps: Steps) -> None:
        approvals.require_admin(steps.views, store.context, "handle requests of data subjects")
        steps.step(REQUEST, request_id, decision, *said)

    store.transact(Request(act, plain, request_id), decide_)
    return request(store.views, request_id)
