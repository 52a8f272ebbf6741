"""What a request of a data subject concerns: what is attached, what was made from it, and what nobody tagged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from attrs import frozen

from muniment.app.erasing import data_subjects
from muniment.app.erasing.data_subjects import Attached, Elsewhere, digests_of, elsewhere, whole_versions
from muniment.app.labels import Labels
from muniment.app.reach import in_state
from muniment.app.store import Store
from muniment.app.telling import lineage
from muniment.domain.data_subject import TargetKind
from muniment.domain.ports import Views
from muniment.domain.rows import EdgeRow, VersionRow
from muniment.domain.values import RunId, VersionId
from muniment.domain.version import State

ENTRY: Final = "entry"
MOST: Final = 1_000_000
"""How many versions and runs the lineage of one data subject may have."""


@frozen
class Item:
    """One thing that is about the data subject; *id* is what a decision names it by."""

    kind: str
    id: str
    name: str
    path: str | None = None


@frozen
class Scope:
    """What a request concerns in the first *size* events.

    *derived* are versions made from attached ones, and *elsewhere* other entries with the same bytes: neither is taken
    to be free of the data subject, nor to be about it. *untagged* counts the versions that nobody attached to anybody;
    *unknown* is the first of them.
    """

    size: int
    items: tuple[Item, ...]
    derived: tuple[Item, ...]
    elsewhere: tuple[Elsewhere, ...]
    untagged: int
    unknown: tuple[VersionId, ...] = ()
    cut: bool = False


def scope(store: Store, subject_id: str, *, show: int = 20) -> Scope:
    """Look up what a request of this data subject concerns now; *show* is how many untagged versions are named."""
    size = store.ledger.head().size
    found = data_subjects.attached(store.views, subject_id)
    derived, cut = _derived(store, found)
    untagged = _untagged(store.views)
    return Scope(
        size,
        items(store, found),
        derived,
        tuple(elsewhere(store, found, digests_of(store, found))),
        len(untagged),
        tuple(untagged[:show]),
        cut,
    )


def items(store: Store, found: Attached) -> tuple[Item, ...]:
    """Return what is attached, with the names that people know."""
    labels = Labels(store.views)
    whole = (Item(row.kind, row.target, _name(labels, row.target)) for row in found.targets)
    entries = (Item(ENTRY, row.entry_id, _name(labels, row.version_id), row.path) for row in found.entries)
    return (*whole, *entries)


def concerned(store: Store, found: Attached) -> list[VersionId]:
    """Return the versions that hold something about the data subject, as a whole or in entries."""
    return list(dict.fromkeys([*whole_versions(store.views, found), *(row.version_id for row in found.entries)]))


def _derived(store: Store, found: Attached) -> tuple[tuple[Item, ...], bool]:
    """Return what was made from versions and by runs that are about the data subject, and if there is still more."""
    starts: list[str] = list(concerned(store, found))
    runs = [RunId(row.target) for row in found.targets if row.kind == TargetKind.RUN.value]
    starts += [each.version_id for run in runs for each in _logged(store.views, run)]
    known, cut, reached = set(concerned(store, found)), False, dict[str, Item]()
    for start in dict.fromkeys(starts):
        graph = lineage.graph(store.views, start, up=0, down=lineage.DEPTH, limit=MOST)
        cut = cut or graph.cut
        for node in graph.nodes:
            if node.kind == lineage.VERSION and node.id not in known:
                reached[node.id] = Item(lineage.VERSION, node.id, node.path)
    return tuple(reached.values()), cut


def _logged(views: Views, run: RunId) -> Iterable[EdgeRow]:
    return views.select(EdgeRow, run_id=run, role="out", order="edge_seq")


def _untagged(views: Views) -> list[VersionId]:
    """Return the versions that were never said to be about anybody."""
    told: set[str] = set()
    for row in data_subjects.listed(views):
        about = data_subjects.attached(views, row.subject_id)
        told |= {each.target for each in about.targets} | {each.version_id for each in about.entries}
    return [
        version.version_id
        for version in _present(views)
        if version.version_id not in told and version.artifact_id not in told
    ]


def _present(views: Views) -> Iterator[VersionRow]:
    for state in (State.COMMITTED, State.DELETED):
        yield from in_state(views, state)


def _name(labels: Labels, id_: str) -> str:
    label = labels.of(id_)
    return label.path if label else id_
