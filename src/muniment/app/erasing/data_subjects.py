"""Data subjects: who they are stands in the vault, and what is stored about them is what was attached to them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from attrs import frozen

from muniment.app import approvals, directory, holds, manifests
from muniment.app.catalog import origin
from muniment.app.manifests import Manifest
from muniment.app.noted import noted
from muniment.app.reach import in_state, team_of
from muniment.app.store import Store
from muniment.app.transact import Request, Steps, new_id
from muniment.domain import data_subject as subjects
from muniment.domain.data_subject import MOST_ENTRIES, TargetKind
from muniment.domain.errors import InvalidValueError, NotFoundError
from muniment.domain.ports import SlotDraft, Views
from muniment.domain.registry import require_role
from muniment.domain.rows import (
    ArtifactRow,
    DataSubjectRow,
    MemberRow,
    PrincipalRow,
    ProjectRow,
    RunRow,
    SubjectEntryRow,
    SubjectTargetRow,
    TeamRow,
    VersionRow,
)
from muniment.domain.values import Digest, Role, VersionId
from muniment.domain.version import State

TERM: Final = "data-subject"
"""The kind of term by which a data subject is found by who it is."""


@frozen
class Attached:
    """What is about a data subject: whole things, and entries of versions."""

    targets: tuple[SubjectTargetRow, ...]
    entries: tuple[SubjectEntryRow, ...]

    @property
    def count(self) -> int:
        """How many things were attached."""
        return len(self.targets) + len(self.entries)

    def paths(self) -> dict[VersionId, tuple[str, ...]]:
        """Return the paths of the entries by their versions; what was erased has no path any more."""
        found: dict[VersionId, list[str]] = {}
        for row in self.entries:
            if row.path is not None:
                found.setdefault(row.version_id, []).append(row.path)
        return {version_id: tuple(sorted(paths)) for version_id, paths in found.items()}


def register(store: Store, identity: str) -> DataSubjectRow:
    """Make a data subject known by what identifies the person; one that is known already is returned.

    The ledger holds a random id; *identity* is kept in the vault under a key of its own. Any member may.
    """
    identity = identity.strip()
    if not identity:
        msg = "a data subject needs an identity: what the person is known by to you, such as a patient number"
        raise InvalidValueError(msg)
    known = store.vault.find(TERM, identity)
    if known is not None and (row := store.views.find(DataSubjectRow, subject_id=known)) is not None:
        return row
    id_ = known or new_id()
    (kept,) = store.vault.put_many([SlotDraft(id_, "identity", identity)])

    def decide(steps: Steps) -> None:
        role = directory.role_of(steps.views, store.context.organisation, store.context.actor)
        require_role(role, Role.MEMBER, "register data subjects")
        steps.step(subjects.DATA_SUBJECT, id_, subjects.register_subject, kept)

    store.transact(Request("register subject", None, id_), decide)
    store.vault.remember(TERM, identity, id_)
    return subject(store.views, id_)


def subject(views: Views, subject_id: str) -> DataSubjectRow:
    """Return a data subject by its id."""
    row = views.find(DataSubjectRow, subject_id=subject_id)
    if row is None:
        msg = f"there is no data subject {subject_id} — see: muniment subject list"
        raise NotFoundError(msg)
    return row


def named(store: Store, text: str) -> DataSubjectRow:
    """Return a data subject by its id, or by who it is."""
    known = store.vault.find(TERM, text.strip())
    return subject(store.views, known or text)


def listed(views: Views, standing: str | None = None) -> list[DataSubjectRow]:
    """Return the data subjects, or those of one standing, in the order in which they were registered."""
    if standing is None:
        return views.select(DataSubjectRow, order="registered_at")
    return views.select(DataSubjectRow, standing=standing, order="registered_at")


def attached(views: Views, subject_id: str, at: int | None = None) -> Attached:
    """Return what is about a data subject."""
    return Attached(
        tuple(views.select(SubjectTargetRow, at=at, subject_id=subject_id, order="target")),
        tuple(views.select(SubjectEntryRow, at=at, subject_id=subject_id, order="entry_id")),
    )


def attach(store: Store, subject_id: str, kind: TargetKind, target: str, *, again: bool = False) -> bool:
    """Say that a whole artifact, version or run is about a data subject; return whether that is new.

    That a user is the data subject only an admin says, and only of one without roles, unless it is erased *again*:
    InvalidValueError.
    """
    team = None if kind is TargetKind.USER else _team_of(store.views, kind, target)

    def decide(steps: Steps) -> bool:
        if team is None:
            approvals.require_admin(steps.views, store.context, "attach users")
            _require_left(steps.views, target, again=again)
        else:
            directory.require_team_role(steps.views, team, store.context.actor, Role.MEMBER, "attach data subjects")
        return bool(steps.step(subjects.DATA_SUBJECT, subject_id, subjects.attach_subject, kind, target))

    return bool(store.transact(Request("attach subject", [kind.value, target], subject_id), decide).answer)


def _require_left(views: Views, user_id: str, *, again: bool) -> None:
    """Refuse to forget who somebody is that has a role still."""
    if views.find(PrincipalRow, principal_id=user_id) is None:
        msg = f"there is no user {user_id}"
        raise NotFoundError(msg)
    if not again and views.select(MemberRow, member_id=user_id, order="scope_id", limit=1):
        msg = f"user {user_id} has roles still — take them away first: muniment org members, muniment team members"
        raise InvalidValueError(msg)


def detach(store: Store, subject_id: str, kind: TargetKind, target: str) -> bool:
    """Say that what was attached as a whole is not about the data subject; only an admin may."""

    def decide(steps: Steps) -> bool:
        approvals.require_admin(steps.views, store.context, "detach data subjects")
        holds.refuse(holds.on_subject(steps.views, subject_id), f"what is about data subject {subject_id}")
        return bool(steps.step(subjects.DATA_SUBJECT, subject_id, subjects.detach_subject, kind, target))

    return bool(store.transact(Request("detach subject", [kind.value, target], subject_id), decide).answer)


def attach_entries(store: Store, subject_id: str, version_id: VersionId, paths: Iterable[str]) -> int:
    """Say that entries of a version are about a data subject; return how many were not attached before.

    A path that the version does not hold is NotFoundError.
    """
    found = origin(store.views, version_id)
    manifest = readable(store, version_id)
    wanted = sorted(set(paths))
    strange = next((path for path in wanted if manifest is None or manifest.get(path) is None), None)
    if strange is not None:
        msg = f"version {found.artifact.name}:v{found.version.index} has no entry {strange!r}"
        raise NotFoundError(msg)
    count = 0
    for part in (wanted[at : at + MOST_ENTRIES] for at in range(0, len(wanted), MOST_ENTRIES)):
        count += _attach_part(store, subject_id, found.team, version_id, part)
    return count


def _attach_part(store: Store, subject_id: str, team: TeamRow, version_id: VersionId, paths: list[str]) -> int:
    named_ = [(new_id(), path) for path in paths]

    def decide(steps: Steps) -> int:
        directory.require_team_role(steps.views, team, store.context.actor, Role.MEMBER, "attach data subjects")
        rows = steps.views.select(SubjectEntryRow, subject_id=subject_id, version_id=version_id, order="entry_id")
        known = {row.path for row in rows}
        fresh = tuple(each for each in named_ if each[1] not in known)
        steps.step(subjects.DATA_SUBJECT, subject_id, subjects.attach_entries, version_id, fresh)
        return len(fresh)

    return int(store.transact(Request("attach entries", version_id, subject_id), decide).answer)


def detach_entries(store: Store, subject_id: str, version_id: VersionId, paths: Iterable[str]) -> int:
    """Say that entries are not about the data subject; return how many were attached. Only an admin may."""
    wanted = set(paths)

    def decide(steps: Steps) -> int:
        approvals.require_admin(steps.views, store.context, "detach data subjects")
        holds.refuse(holds.on_subject(steps.views, subject_id), f"what is about data subject {subject_id}")
        rows = steps.views.select(SubjectEntryRow, subject_id=subject_id, version_id=version_id, order="entry_id")
        gone = tuple(row.entry_id for row in rows if row.path in wanted)
        if gone:
            steps.step(subjects.DATA_SUBJECT, subject_id, subjects.detach_entries, version_id, gone)
        return len(gone)

    return int(store.transact(Request("detach entries", version_id, subject_id), decide).answer)


# --- the same bytes elsewhere ----------------------------------------------------------------------------------------


@frozen
class Elsewhere:
    """An entry that holds the same bytes as one that is attached, but is not attached itself."""

    version_id: VersionId
    path: str
    digest: Digest


def same_bytes(store: Store, subject_id: str) -> list[Elsewhere]:
    """Return the entries of other versions, deleted ones too, that hold bytes which are about the data subject."""
    found = attached(store.views, subject_id)
    return list(elsewhere(store, found, digests_of(store, found)))


def attach_same(store: Store, subject_id: str) -> int:
    """Attach the data subject to every entry that holds the same bytes as one that is; return how many are new."""
    where: dict[VersionId, list[str]] = {}
    for each in same_bytes(store, subject_id):
        where.setdefault(each.version_id, []).append(each.path)
    return sum(attach_entries(store, subject_id, version_id, paths) for version_id, paths in where.items())


def digests_of(store: Store, found: Attached) -> set[Digest]:
    """Return the contents that are about a data subject and still listed."""
    digests: set[Digest] = set()
    for version_id, paths in found.paths().items():
        manifest = readable(store, version_id)
        entries = [] if manifest is None else [manifest.get(path) for path in paths]
        digests.update(Digest(entry.digest) for entry in entries if entry is not None and entry.ref is None)
    for version_id in whole_versions(store.views, found):
        manifest = readable(store, version_id)
        digests.update(digest for digest, _ in (manifest.contents() if manifest is not None else ()))
    return digests


def elsewhere(store: Store, found: Attached, digests: set[Digest]) -> Iterator[Elsewhere]:
    """Yield the entries with these contents in versions that are not purged, but for what is attached."""
    if not digests:
        return
    whole, paths = set(whole_versions(store.views, found)), found.paths()
    for state in (State.COMMITTED, State.DELETED):
        for row in in_state(store.views, state):
            manifest = None if row.version_id in whole else readable(store, row.version_id)
            ours = frozenset(paths.get(row.version_id, ()))
            for entry in () if manifest is None else manifest.entries():
                if entry.ref is None and entry.digest in digests and entry.path not in ours:
                    yield Elsewhere(row.version_id, entry.path, Digest(entry.digest))


def whole_versions(views: Views, found: Attached) -> list[VersionId]:
    """Return the versions that are attached as a whole, by themselves or by their artifact."""
    ids: dict[VersionId, None] = {}
    for row in found.targets:
        if row.kind == TargetKind.VERSION.value:
            ids[VersionId(row.target)] = None
        elif row.kind == TargetKind.ARTIFACT.value:
            rows = views.select(VersionRow, artifact_id=row.target, order="index")
            ids |= dict.fromkeys(each.version_id for each in rows)
    return list(ids)


def readable(store: Store, version_id: VersionId) -> Manifest | None:
    """Open the manifest of a version; ``None`` if it was purged or forgotten, or is noted to be erased and gone."""
    row = store.views.find(VersionRow, version_id=version_id)
    if row is None or row.manifest is None or row.state == State.PURGED.value:
        return None
    team_id = team_of(store.views, row)
    seen = store if team_id is None else store.of_team(team_id)
    try:
        return manifests.read(seen.blobs, store.codec, Digest(row.manifest))
    except NotFoundError:
        if any([TargetKind.VERSION.value, version_id] in line.targets for line in noted(store.config.home)):
            return None
        raise


def _team_of(views: Views, kind: TargetKind, target: str) -> TeamRow:
    if kind is TargetKind.VERSION:
        return origin(views, VersionId(target)).team
    row: ArtifactRow | RunRow | None
    if kind is TargetKind.ARTIFACT:
        row = views.find(ArtifactRow, artifact_id=target)
    else:
        row = views.find(RunRow, run_id=target)
    project = views.find(ProjectRow, project_id=row.project_id) if row else None
    team = views.find(TeamRow, team_id=project.team_id) if project else None
    if team is None:
        msg = f"there is no {kind.value} {target} (any more)"
        raise NotFoundError(msg)
    return team
