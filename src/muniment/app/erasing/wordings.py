"""What people wrote about a data subject beside what is attached: requests, why it was held, why an act was proposed.

All of it is kept under the key of the data subject. Why something is kept of what it asked to erase is not: it stays.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from muniment.app.personal import personal_slots
from muniment.app.store import Store
from muniment.domain.approval import Act
from muniment.domain.hold import ScopeKind
from muniment.domain.request import CertificateIssued, RequestDecided
from muniment.domain.rows import HoldRow, ProposalRow, RequestRow
from muniment.domain.values import SlotId, StreamId

STAYS: Final = (RequestDecided, CertificateIssued)
"""Events whose personal values say why something was kept, or what was erased, and outlive the data subject."""
ON_REQUESTS: Final = (Act.ERASE, Act.REFUSE_ERASURE)


def slots(store: Store, subject_id: str) -> Iterator[SlotId]:
    """Yield where all of it is kept."""
    requests = [row.request_id for row in store.views.select(RequestRow, subject_id=subject_id, order="received_at")]
    scope = ScopeKind.SUBJECT.value
    placed = [
        row.hold_id
        for state in ("placed", "released")
        for row in store.views.select(HoldRow, scope=scope, target=subject_id, state=state, order="placed_at")
    ]
    asked = [(act, each) for act in ON_REQUESTS for each in requests] + [(Act.RELEASE_HOLD, each) for each in placed]
    proposed = [
        row.proposal_id
        for act, target in asked
        for row in store.views.select(ProposalRow, act=act.value, target=target, order="proposed_at")
    ]
    for stream in (subject_id, *requests, *placed, *proposed):
        for recorded in store.ledger.read(stream=StreamId(stream)):
            if not isinstance(recorded.event, STAYS):
                yield from personal_slots(recorded.event)
