"""Acts that are tried and taken back: the same rules decide about them, and nothing of them stays."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, Final, NoReturn

import attrs
from attrs import define, field, frozen

from muniment.app import directory, durations
from muniment.app.fields import names_of
from muniment.app.labels import Labels
from muniment.app.store import Store
from muniment.app.transact import Request, Steps, new_id
from muniment.domain.ports import Append, Outcome, Receipt, SlotDraft, Transaction, Vault
from muniment.domain.rows import AliasRow
from muniment.domain.values import Json, Micros, Personal, PrincipalId, SlotId, StreamId, Ttl, owner_of

LASTING: Final = frozenset({"default"})
"""The fields of events that say how long something lasts, in microseconds."""
ID: Final = re.compile(r"[0-9a-f]{32}")
WORD: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")


class _Undone(Exception):  # noqa: N818 (it is no error: it makes the transaction go back)
    """Carries what was decided out of a transaction that is taken back."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__()
        self.outcome = outcome


@frozen
class _Unkept:
    """A vault that can be read, and keeps nothing that it is given."""

    inner: Vault

    def put_many(self, drafts: Sequence[SlotDraft]) -> list[Personal[Any]]:
        """Return what an event would hold."""
        return [Personal(SlotId(new_id()), "") for _ in drafts]

    def get_many(self, slots: Collection[SlotId]) -> dict[SlotId, Json]:
        """Return values that are there."""
        return self.inner.get_many(slots)

    def find(self, kind: str, value: str) -> str | None:
        """Return an id that is known."""
        return self.inner.find(kind, value)

    def remember(self, kind: str, value: str, owner: str) -> str:
        """Return the id that is known, or would be."""
        return self.inner.find(kind, value) or owner

    def find_many(self, kind: str, values: Collection[str]) -> dict[str, str]:
        """Return the ids that are known."""
        return self.inner.find_many(kind, values)

    def remember_many(self, kind: str, values: Collection[str], owner: str) -> None:
        """Remember nothing."""
        del kind, values, owner

    def keyed(self, kind: str, value: str) -> str:
        """Return what stands for a value."""
        return self.inner.keyed(kind, value)

    def destroyed(self) -> set[str]:
        """Return whose keys were destroyed."""
        return self.inner.destroyed()

    def destroy(self, owner: str) -> int:
        """Destroy nothing."""
        del owner
        return 0

    def sweep(self, referenced: Callable[[Collection[SlotId]], set[SlotId]], older_than: Micros) -> int:
        """Remove nothing."""
        del referenced, older_than
        return 0


@define(slots=False)
class Trial(Store):
    """A store that decides and keeps nothing: no event, no refusal, no personal value. *tried* holds what would be."""

    tried: list[Append] = field(factory=list)

    def transact(self, request: Request, decide: Callable[[Steps], Json]) -> Receipt:
        """Decide about a command under the write lock, then take it all back; refusals are those of the real act."""
        del request

        def act(transaction: Transaction) -> NoReturn:
            steps = Steps(transaction)
            raise _Undone(steps.outcome(decide(steps)))

        try:
            self.ledger.work(act)
        except _Undone as undone:
            self.tried += undone.outcome.appends
            return Receipt(undone.outcome.answer)
        raise AssertionError

    def told(self) -> Iterator[dict[str, Any]]:
        """Yield what would have happened, in order: each event, what it is about, and what it says."""
        labels = Labels(self.views)
        for append in self.tried:
            for event in append.events:
                shown = {name: self._shown(labels, name, value) for name, value in _fields(event)}
                said = {name: value for name, value in shown.items() if value is not None}
                alias = self.views.find(AliasRow, slot=append.stream)
                if alias is not None:
                    said = {"alias": alias.alias, **said}
                yield {"event": _words(event), "subject": self._subject(labels, append.stream), **said}

    def _subject(self, labels: Labels, stream: StreamId) -> str | None:
        label = labels.of(owner_of(stream))
        return None if label is None else f"{label.kind} {label.path}"

    def _shown(self, labels: Labels, name: str, value: object) -> object:
        """Return a field of an event as people read it, ``None`` if it tells them nothing."""
        if isinstance(value, Ttl):
            return durations.ttl_to_text(value)
        if name in LASTING and isinstance(value, int):
            return durations.to_text(value)
        if isinstance(value, str) and ID.fullmatch(value):
            label = labels.of(value)
            return label.path if label else directory.logins(self, {PrincipalId(value)}).get(PrincipalId(value))
        value = getattr(value, "value", value)
        return value if isinstance(value, str | int) and value not in ("", 0, False) else None


def of(store: Store) -> Trial:
    """Return the same store for acts that are only tried."""
    parts = {each.name: getattr(store, each.name) for each in attrs.fields(Store)}
    return Trial(**{**parts, "vault": _Unkept(store.vault)})


def _fields(event: Any) -> list[tuple[str, Any]]:  # noqa: ANN401 (any event class)
    return [(name, getattr(event, name)) for name in names_of(type(event))]


def _words(event: object) -> str:
    return WORD.sub(" ", type(event).__name__).lower()
