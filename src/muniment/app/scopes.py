"""Scopes: what holds and policies are about, from the names that people type to ids and back."""

from __future__ import annotations

from typing import Final

from muniment.app.labels import Labels
from muniment.app.store import Store
from muniment.app.subjects import subject
from muniment.domain.errors import InvalidValueError, NotFoundError
from muniment.domain.hold import ScopeKind
from muniment.domain.ports import Views
from muniment.domain.rows import DataSubjectRow
from muniment.domain.values import ERASED_TEXT

KINDS: Final = {
    "organization": ScopeKind.ORGANISATION,
    "team": ScopeKind.TEAM,
    "project": ScopeKind.PROJECT,
    "artifact": ScopeKind.ARTIFACT,
    "version": ScopeKind.VERSION,
    "registry": ScopeKind.REGISTRY,
    "collection": ScopeKind.COLLECTION,
}
"""What labels call the things that can be a scope."""
TYPED: Final = frozenset({ScopeKind.PROJECT, ScopeKind.TEAM, ScopeKind.ORGANISATION})
"""Where a policy for a type can be."""


def named(store: Store, text: str) -> tuple[ScopeKind, str]:
    """Return the scope that a name or an id means; deleted things have theirs too, by id."""
    found = subject(store, text)
    kind = found.kind
    if kind == "id":
        if store.views.find(DataSubjectRow, subject_id=found.id) is not None:
            return ScopeKind.SUBJECT, found.id
        label = Labels(store.views).of(found.id)
        kind = label.kind if label else "thing that is not here"
    if kind not in KINDS:
        msg = f"{text!r} is a {kind} — name an organization, team, project, artifact, version, registry or collection"
        raise NotFoundError(msg)
    return KINDS[kind], found.id


def require(views: Views, scope: ScopeKind, target: str) -> None:
    """Refuse a scope that nothing is in and never was: NotFoundError says what it should be."""
    if scope is ScopeKind.SUBJECT:
        there = views.find(DataSubjectRow, subject_id=target) is not None
    else:
        label = Labels(views).of(target)
        kind = KINDS.get(label.kind) if label else None
        there = kind in TYPED if scope is ScopeKind.TYPE else kind is scope
    if not there:
        what = "project, team or organisation" if scope is ScopeKind.TYPE else scope.value
        msg = f"there is no {what} with the id {target}"
        raise (InvalidValueError if scope is ScopeKind.TYPE else NotFoundError)(msg)


def label_of(labels: Labels, scope: str, target: str, words: str | None) -> str:
    """Return a scope as people read it: the path of the thing, the tag, or the id of a data subject."""
    if scope == ScopeKind.TAG.value:
        return words or ERASED_TEXT
    if scope == ScopeKind.SUBJECT.value:
        return target
    label = labels.of(target)
    path = label.path if label else target
    return f"{words or ERASED_TEXT} in {path}" if scope == ScopeKind.TYPE.value else path
