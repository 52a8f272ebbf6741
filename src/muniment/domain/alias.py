"""Aliases of an artifact or a collection: one slot stream each, and one for ``latest`` where it was put by hand."""

from __future__ import annotations

from typing import Final, TypeAlias, assert_never

from attrs import evolve as replace
from attrs import frozen

from muniment.domain.decider import Decider, Event
from muniment.domain.errors import AliasMovedMeanwhileError, AliasProtectedError
from muniment.domain.values import Role, VersionId, Words

ANYWHERE: Final = True
"""What to expect of an alias when it does not matter where it points."""


@frozen
class AliasMoved(Event):
    """An alias now points at another version; the first event of its slot carries the alias."""

    to: VersionId
    before: VersionId | None = None
    alias: Words[str] | None = None


@frozen
class AliasRemoved(Event):
    """An alias points nowhere now."""

    before: VersionId


AliasEvent: TypeAlias = AliasMoved | AliasRemoved


@frozen
class LatestMoved(Event):
    """``latest`` was put on this version, until the next version is made."""

    to: VersionId


@frozen
class LatestRemoved(Event):
    """``latest`` points nowhere, until the next version is made."""

    before: VersionId


LatestEvent: TypeAlias = LatestMoved | LatestRemoved


@frozen
class AliasSlot:
    """Where an alias points; ``named`` tells whether the stream knows the alias already."""

    target: VersionId | None = None
    named: bool = False


@frozen
class LatestSlot:
    """Where ``latest`` was last put by hand."""

    target: VersionId | None = None


def move_alias(
    slot: AliasSlot,
    alias: str,
    to: VersionId,
    *,
    expected: VersionId | bool | None = ANYWHERE,
    protected: bool = False,
    role: Role = Role.ADMIN,
) -> list[AliasEvent]:
    """Point the alias at a live version; with *expected*, only if it points there now (``None``: nowhere)."""
    if expected is not ANYWHERE and slot.target != expected:
        msg = f"alias {alias} moved meanwhile — load the artifact again and decide anew"
        raise AliasMovedMeanwhileError(msg)
    if slot.target == to:
        return []
    _require_admin(alias, protected=protected, role=role)
    return [AliasMoved(to, slot.target, None if slot.named else alias)]


def remove_alias(
    slot: AliasSlot, alias: str, *, expected: VersionId | None = None, protected: bool = False, role: Role = Role.ADMIN
) -> list[AliasEvent]:
    """Let the alias point nowhere; with *expected*, only if it points there now."""
    if slot.target is None or (expected is not None and slot.target != expected):
        return []
    _require_admin(alias, protected=protected, role=role)
    return [AliasRemoved(slot.target)]


def move_latest(
    latest: LatestSlot, to: VersionId, now: VersionId | None, *, expected: VersionId | bool | None = ANYWHERE
) -> list[LatestEvent]:
    """Put ``latest`` on a live version, unless it points there *now*; with *expected*, only if that is where it is."""
    del latest
    if expected is not ANYWHERE and now != expected:
        msg = "alias latest moved meanwhile — load the artifact again and decide anew"
        raise AliasMovedMeanwhileError(msg)
    return [] if now == to else [LatestMoved(to)]


def remove_latest(latest: LatestSlot, before: VersionId | None) -> list[LatestEvent]:
    """Let ``latest`` point nowhere until the next version is made; *before* is where it points now."""
    del latest
    return [] if before is None else [LatestRemoved(before)]


def _require_admin(alias: str, *, protected: bool, role: Role) -> None:
    if protected and not role.covers(Role.ADMIN):
        msg = f"alias {alias} is protected in this registry — ask one of its admins"
        raise AliasProtectedError(msg)


def evolve_alias(slot: AliasSlot, event: AliasEvent) -> AliasSlot:
    """Return the slot after *event*."""
    match event:
        case AliasMoved(to=to):
            return replace(slot, target=to, named=True)
        case AliasRemoved():
            return replace(slot, target=None, named=True)
        case _:
            assert_never(event)


def evolve_latest(latest: LatestSlot, event: LatestEvent) -> LatestSlot:
    """Return the slot after *event*."""
    match event:
        case LatestMoved(to=to):
            return replace(latest, target=to)
        case LatestRemoved():
            return replace(latest, target=None)
        case _:
            assert_never(event)


ALIAS: Decider[AliasSlot, AliasEvent] = Decider("alias", AliasSlot(), evolve_alias, tail=1)
LATEST_SLOT: Decider[LatestSlot, LatestEvent] = Decider("latest", LatestSlot(), evolve_latest, tail=1)
