"""Redaction in use: destroying the words of events, which takes two people, and making the rows again without them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from hashlib import sha256

from muniment.app import approvals
from muniment.app.store import Store
from muniment.app.transact import Request, Steps
from muniment.domain import redaction
from muniment.domain.approval import Act
from muniment.domain.errors import HeldError, InvalidValueError
from muniment.domain.hold import HoldPlaced
from muniment.domain.ports import Views
from muniment.domain.redaction import EventsRedacted
from muniment.domain.rows import HoldRow

Allow = Callable[[Steps], None]
"""What lets a redaction happen inside its command, or refuses it."""


def redact(store: Store, seqs: Iterable[int], *, request_id: str | None = None, allow: Allow | None = None) -> int:
    """Destroy the words of events for good and make the rows again; return how many events lost theirs.

    Events without words are left out, and what was redacted before stays so. Without *allow* another admin must have
    approved this very set of events. It can be done again after it was interrupted.
    """
    wanted = sorted(set(seqs))
    targets = tuple((seq, commit) for seq in wanted if (commit := commitment(store, seq)) is not None)
    fresh = tuple(target for target in targets if store.ledger.leaf(target[0]).words is not None)
    for seq, _ in fresh:
        _require_free(store.views, store, seq)

    def decide(steps: Steps) -> None:
        approvals.require_admin(steps.views, store.context, "redact events")
        if allow is None:
            approvals.carry_out(steps, Act.REDACT, target_of(wanted))
        else:
            allow(steps)
        stream = redaction.redactions_stream(store.context.organisation)
        steps.step(redaction.REDACTION, stream, redaction.redact_events, fresh, request_id)

    if fresh:
        store.transact(Request("redact", None, request_id), decide)
    store.ledger.rebuild()
    return len(fresh)


def target_of(seqs: Iterable[int]) -> str:
    """Return what an approval to redact these events is for: one text for one set of events."""
    wanted = sorted(set(seqs))
    if not wanted:
        msg = "name the events to redact, by their numbers"
        raise InvalidValueError(msg)
    return sha256(json.dumps(wanted).encode()).hexdigest()[:32]


def commitment(store: Store, seq: int) -> str | None:
    """Return the commitment to the words of an event that its leaf holds, ``None`` if there never were any."""
    found: str | None = json.loads(store.ledger.leaf(seq).text).get("words_commit")
    return found


def redacted(store: Store) -> int:
    """Return how many events lost their words on purpose."""
    stream = redaction.redactions_stream(store.context.organisation)
    events = (recorded.event for recorded in store.ledger.read(stream=stream))
    return sum(len(event.seqs) for event in events if isinstance(event, EventsRedacted))


def _require_free(views: Views, store: Store, seq: int) -> None:
    """Refuse to redact the tag that a hold in force goes by: nobody would know any more what it holds."""
    recorded = next(store.ledger.read(after=seq - 1, until=seq))
    row = views.find(HoldRow, hold_id=recorded.stream) if isinstance(recorded.event, HoldPlaced) else None
    if row is not None and row.released_at is None:
        msg = f"event {seq} says which tag hold {row.hold_id} goes by — release the hold first"
        raise HeldError(msg)
