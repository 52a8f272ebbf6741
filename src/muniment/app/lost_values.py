"""Personal values that are gone although nobody erased them: the vault was deleted, or something of it, by hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from muniment.app.erasing import wordings
from muniment.app.erasing.data_subjects import attached, whole_versions
from muniment.app.fields import names_of
from muniment.app.store import Store
from muniment.domain.data_subject import Standing
from muniment.domain.ports import Recorded
from muniment.domain.rows import DataSubjectRow, RequestRow, VersionRow
from muniment.domain.values import SlotId, VersionId, owner_of

SHOWN: Final = 10
"""How many events a line about lost values names."""


def told(store: Store, gone: Mapping[SlotId, int]) -> Iterator[str]:
    """Yield a line about those of the values that are gone which no erasure explains, with the events they are of."""
    if not gone:
        return
    erased, said = _erased(store)
    known = erased | store.vault.destroyed()
    lost = sorted({seq for slot, seq in gone.items() if slot not in said and not _explained(store, seq, known)})
    if lost:
        more = ", …" if len(lost) > SHOWN else ""
        yield (
            f"personal values of {len(lost)} events are gone, and no erasure with a certificate explains it: "
            f"events {', '.join(map(str, lost[:SHOWN]))}{more} — put the vault back from its backup"
        )


def _erased(store: Store) -> tuple[set[str], set[SlotId]]:
    """Return the ids of what was erased or is about to be, and where what people wrote about it was kept."""
    ids: set[str] = set()
    slots: set[SlotId] = set()
    for standing in (Standing.FENCED, Standing.ERASED):
        for row in store.views.select(DataSubjectRow, standing=standing.value, order="registered_at"):
            found = attached(store.views, row.subject_id)
            ids |= {row.subject_id, *(each.target for each in found.targets), *whole_versions(store.views, found)}
            slots |= set(wordings.slots(store, row.subject_id))
    return ids, slots


def _explained(store: Store, seq: int, known: set[str]) -> bool:
    return any(
        not known.isdisjoint(_about(store, recorded)) for recorded in store.ledger.read(after=seq - 1, until=seq)
    )


def _about(store: Store, recorded: Recorded) -> Iterator[str]:
    """Yield the ids of whom or what the values of an event may have been kept under the key of."""
    owner = owner_of(recorded.stream)
    yield owner
    fields = (getattr(recorded.event, name) for name in names_of(type(recorded.event)))
    yield from (value for value in fields if isinstance(value, str))
    version = store.views.find(VersionRow, version_id=VersionId(owner))
    if version is not None:
        yield version.artifact_id
    request = store.views.find(RequestRow, request_id=owner)
    if request is not None:
        yield request.subject_id
