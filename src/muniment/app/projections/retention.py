"""Retention: what expires when, and what was let go."""

from __future__ import annotations

from collections.abc import Sequence

from muniment.domain import artifact, collection, registry, team, version
from muniment.domain.ports import Recorded
from muniment.domain.rows import ArtifactRow, Change, EndingRow, Patch, Put, TeamRow, VersionRow
from muniment.domain.version import State


def fold(recorded: Recorded) -> Sequence[Change]:
    """Return what an event changes about how long things are kept."""
    key = (recorded.stream,)
    match recorded.event:
        case version.TtlSet(ttl=ttl):
            own = {"ttl_rule": ttl.rule.value, "ttl_micros": ttl.micros}
            return [Patch(VersionRow, key, {**own, "updated_at": recorded.recorded_at})]
        case artifact.ArtifactTtlSet(ttl=ttl):
            return [Patch(ArtifactRow, key, {"ttl_rule": ttl.rule.value, "ttl_micros": ttl.micros})]
        case team.TtlPolicySet(setters=setters, default=default):
            return [Patch(TeamRow, key, {"ttl_setters": setters.value, "ttl_micros": default})]
        case version.MarkedDeleted():
            return [_state(key, State.DELETED, recorded.recorded_at, recorded.recorded_at)]
        case version.Restored():
            return [_state(key, State.COMMITTED, recorded.recorded_at, None)]
        case version.LetGo():
            return [Patch(VersionRow, key, {"state": State.LET_GO.value, "updated_at": recorded.recorded_at})]
        case version.Purged():
            return [Patch(VersionRow, key, {"state": State.PURGED.value, "updated_at": recorded.recorded_at})]
        case collection.Unlinked(version_id=version_id):
            return [Patch(VersionRow, (version_id,), {"unlinked_at": recorded.recorded_at})]
        case collection.CollectionDeleted() | registry.RegistryDeleted():
            return [Put(EndingRow(recorded.stream, recorded.recorded_at))]
        case _:
            return ()


def _state(key: tuple[str], state: State, at: int, deleted_at: int | None) -> Patch:
    return Patch(VersionRow, key, {"state": state.value, "updated_at": at, "deleted_at": deleted_at})
