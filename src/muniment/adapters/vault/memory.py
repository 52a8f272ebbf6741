"""The vault in memory: the reference for the others, and what tests use."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from hashlib import sha256
from threading import Lock
from typing import Any

from attrs import define, field, frozen

from muniment.adapters.vault.unsealed import Unsealed, prepare, read_value, system_clock, text_bytes
from muniment.domain.ports import SlotDraft
from muniment.domain.values import Json, Micros, Personal, SlotId


@frozen
class _Slot:
    value: Unsealed
    written_at: Micros


@define(eq=False)
class MemoryVault:
    """Personal values in a dict: nothing is encrypted, everything is forgotten with the object."""

    origin: str
    clock: Callable[[], Micros] = system_clock
    _slots: dict[SlotId, _Slot] = field(factory=dict, init=False, repr=False)
    _terms: dict[tuple[str, str], str] = field(factory=dict, init=False, repr=False)
    _destroyed: set[str] = field(factory=set, init=False, repr=False)
    _lock: Lock = field(factory=Lock, init=False, repr=False)

    def put_many(self, drafts: Sequence[SlotDraft]) -> list[Personal[Any]]:
        values = prepare(drafts)
        now = self.clock()
        with self._lock:
            self._slots.update({value.slot: _Slot(value, now) for value in values})
        return [value.personal() for value in values]

    def get_many(self, slots: Collection[SlotId]) -> dict[SlotId, Json]:
        with self._lock:
            found = [(slot, self._slots[slot]) for slot in slots if slot in self._slots]
        return {slot: read_value(kept.value.content) for slot, kept in found}

    def find(self, kind: str, value: str) -> str | None:
        text_bytes(kind, value)
        with self._lock:
            return self._terms.get((kind, value))

    def remember(self, kind: str, value: str, owner: str) -> str:
        text_bytes(kind, value)
        with self._lock:
            return self._terms.setdefault((kind, value), owner)

    def find_many(self, kind: str, values: Collection[str]) -> dict[str, str]:
        return {value: found for value in values if (found := self.find(kind, value)) is not None}

    def remember_many(self, kind: str, values: Collection[str], owner: str) -> None:
        for value in values:
            self.remember(kind, value, owner)

    def keyed(self, kind: str, value: str) -> str:
        return sha256(text_bytes(kind, f"{self.origin}\0{kind}\0{value}")).hexdigest()

    def destroy(self, owner: str) -> int:
        with self._lock:
            self._terms = {term: found for term, found in self._terms.items() if found != owner}
            theirs = [slot for slot, kept in self._slots.items() if kept.value.owner == owner]
            self._destroyed.update([owner] if theirs else [])
            return self._remove(theirs)

    def destroyed(self) -> set[str]:
        with self._lock:
            return set(self._destroyed)

    def destroy_slots(self, slots: Collection[SlotId]) -> int:
        with self._lock:
            return self._remove(slots)

    def sweep(self, referenced: Callable[[Collection[SlotId]], set[SlotId]], older_than: Micros) -> int:
        with self._lock:
            old = [slot for slot, kept in self._slots.items() if kept.written_at < older_than]
        kept = referenced(old) if old else set()
        with self._lock:
            return self._remove([slot for slot in old if slot not in kept])

    def close(self) -> None:
        """Do nothing: there is nothing to let go of."""

    def _remove(self, slots: Collection[SlotId]) -> int:
        return sum(self._slots.pop(slot, None) is not None for slot in slots)
