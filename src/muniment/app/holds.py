"""Holds: placing, reviewing and releasing them, and which of them are in force for a version."""

from __future__ import annotations

from collections import defaultdict

from attrs import define, field

from muniment.app import approvals, scopes
from muniment.app.standing import Standing
from muniment.app.store import Store
from muniment.app.transact import Request, Steps, new_id
from muniment.domain import hold as holds
from muniment.domain.approval import Act
from muniment.domain.errors import HeldError, InvalidValueError, NotFoundError
from muniment.domain.hold import HoldKind, HoldPlaced, ScopeKind
from muniment.domain.ports import SlotDraft, Views
from muniment.domain.rows import (
    ArtifactRow,
    CollectionRow,
    HoldRow,
    TagRow,
    VersionRow,
)
from muniment.domain.values import Micros, tag_name

PLACED = "placed"


def place(
    store: Store,
    kind: HoldKind,
    scope: ScopeKind,
    target: str,
    matter: str,
    *,
    tag: str | None = None,
    review_by: Micros | None = None,
) -> HoldRow:
    """Forbid that anything in a scope is removed, from now on and until two people agree to release it.

    *target* is the id of the thing; for a tag it is left out, and *tag* is the word. *matter* says why, and is kept
    where it can be forgotten; if a data subject is held, it goes with the data subject. Only an admin of the
    organisation may.
    """
    if (scope is ScopeKind.TAG) != (tag is not None):
        msg = "a hold on a tag names the tag, and no other does"
        raise InvalidValueError(msg)
    if not matter.strip():
        msg = "a hold needs a matter: say what it is for"
        raise InvalidValueError(msg)
    if tag is not None:
        tag_name(tag)
        target = store.context.organisation
    id_ = new_id()
    (kept,) = store.vault.put_many([SlotDraft(target if scope is ScopeKind.SUBJECT else id_, "matter", matter)])
    placed = HoldPlaced(kind, scope, target, kept, tag, review_by)

    def decide(steps: Steps) -> None:
        approvals.require_admin(steps.views, store.context, "place a hold")
        if scope is not ScopeKind.TAG:
            scopes.require(steps.views, scope, target)
        steps.step(holds.HOLD, id_, holds.place_hold, placed)

    store.transact(Request("place hold", [kind.value, scope.value, review_by], target), decide)
    return hold(store.views, id_)


def review(store: Store, hold_id: str, review_by: Micros | None) -> None:
    """Say that a hold is still needed, and when to look again."""
    row = hold(store.views, hold_id)

    def decide(steps: Steps) -> None:
        approvals.require_admin(steps.views, store.context, "review a hold")
        steps.step(holds.HOLD, row.hold_id, holds.review_hold, review_by)

    store.transact(Request("review hold", review_by, row.hold_id), decide)


def release(store: Store, hold_id: str, reason: str | None = None) -> None:
    """End a hold, which another admin must have approved."""
    row = hold(store.views, hold_id)
    if row.state != PLACED:
        return
    kept = store.keep(row.target if row.scope == ScopeKind.SUBJECT.value else row.hold_id, reason=reason)["reason"]

    def decide(steps: Steps) -> None:
        approvals.require_admin(steps.views, store.context, "release a hold")
        if steps.step(holds.HOLD, row.hold_id, holds.release_hold, kept):
            approvals.carry_out(steps, Act.RELEASE_HOLD, row.hold_id)

    store.transact(Request("release hold", None, row.hold_id), decide)


def hold(views: Views, hold_id: str) -> HoldRow:
    """Return a hold by its id."""
    row = views.find(HoldRow, hold_id=hold_id)
    if row is None:
        msg = f"there is no hold {hold_id} — see: muniment hold list"
        raise NotFoundError(msg)
    return row


def listed(views: Views, *, everything: bool = False) -> list[HoldRow]:
    """Return the holds in force, or all there ever were."""
    if everything:
        return views.select(HoldRow, order="placed_at")
    return views.select(HoldRow, state=PLACED, order="placed_at")


# --- what is held ----------------------------------------------------------------------------------------------------


def on_version(views: Views, version: VersionRow, at: int | None = None) -> tuple[HoldRow, ...]:
    """Return the holds in force for a version, whatever scope brings it in."""
    if not views.select(HoldRow, at=at, state=PLACED, order="placed_at", limit=1):
        return ()
    return Placed(Standing(views, at)).on(version)


@define
class Placed:
    """The holds in force, looked up once for many versions."""

    standing: Standing
    _scoped: dict[tuple[str, str], list[HoldRow]] = field(init=False)
    _tags: list[HoldRow] = field(init=False)
    _subjects: list[HoldRow] = field(init=False)

    def __attrs_post_init__(self) -> None:
        rows = self.standing.views.select(HoldRow, at=self.standing.at, state=PLACED, order="placed_at")
        apart = {ScopeKind.TAG.value, ScopeKind.SUBJECT.value}
        self._scoped = defaultdict(list)
        for row in rows:
            if row.scope not in apart:
                self._scoped[row.scope, row.target].append(row)
        self._tags = [row for row in rows if row.tag is not None]
        self._subjects = [row for row in rows if row.scope == ScopeKind.SUBJECT.value]

    def on(self, version: VersionRow) -> tuple[HoldRow, ...]:
        """Return the holds in force for a version."""
        scopes_ = self.standing.scopes(version) if self._scoped else ()
        found = [row for scope, target in scopes_ for row in self._scoped.get((scope.value, target), ())]
        if self._tags:
            tags = self._tags_of(version)
            found += [row for row in self._tags if row.tag in tags]
        found += [row for row in self._subjects if self.standing.about(row.target, version)]
        return tuple({row.hold_id: row for row in found}.values())

    def _tags_of(self, version: VersionRow) -> set[str | None]:
        standing = self.standing
        links = (link.collection_id for link in standing.links(version))
        owners = (version.version_id, version.artifact_id, *links)
        return {
            row.tag
            for owner in owners
            for row in standing.views.select(TagRow, at=standing.at, owner_id=owner, order="tag")
        }


def on_artifact(views: Views, artifact: ArtifactRow) -> tuple[HoldRow, ...]:
    """Return the holds in force for any version of an artifact."""
    if not views.select(HoldRow, state=PLACED, order="placed_at", limit=1):
        return ()
    placed = Placed(Standing(views, wide=True))
    versions = views.select(VersionRow, artifact_id=artifact.artifact_id, order="index")
    found = (row for version in versions for row in placed.on(version))
    return tuple({row.hold_id: row for row in found}.values())


def on_subject(views: Views, subject_id: str) -> tuple[HoldRow, ...]:
    """Return the holds that are placed on a data subject itself."""
    scope = ScopeKind.SUBJECT.value
    return tuple(views.select(HoldRow, scope=scope, target=subject_id, state=PLACED, order="placed_at"))


def refuse_leaving(views: Views, version: VersionRow, collection: CollectionRow) -> None:
    """Refuse to take a version out of a collection by whose hold, or its registry's, it is held."""
    for scope, target in (
        (ScopeKind.COLLECTION, collection.collection_id),
        (ScopeKind.REGISTRY, collection.registry_id),
    ):
        held = views.select(HoldRow, scope=scope.value, target=target, state=PLACED, order="placed_at")
        refuse(tuple(held), f"version {version.version_id} in its {scope.value}")


def refuse_untagging(views: Views, tag: str | None) -> None:
    """Refuse to take a tag away by which something is held."""
    placed = views.select(HoldRow, state=PLACED, order="placed_at")
    refuse(tuple(row for row in placed if tag is not None and row.tag == tag), f"what is tagged {tag}")


def refuse(held: tuple[HoldRow, ...], what: str) -> None:
    """Raise HeldError if holds forbid to remove *what*; it names the holds, never what they are about."""
    if held:
        ids = ", ".join(row.hold_id for row in held)
        msg = f"{what} is held by {ids} — it can go once the hold is released: muniment hold release {held[0].hold_id}"
        raise HeldError(msg)
