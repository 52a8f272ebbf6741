"""Which blobs are needed where: in each place those of the versions that may lie there, and of unfinished ones."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator

from attrs import define, field, frozen

from muniment.app import catalog, holds, manifests
from muniment.app.logs import say
from muniment.app.places import OWN, folder_of
from muniment.app.store import Store
from muniment.domain.errors import CorruptError, NotFoundError, StorageError
from muniment.domain.ports import BlobStore, Views
from muniment.domain.rows import ArtifactRow, ProjectRow, TeamRow, VersionRow
from muniment.domain.values import ArtifactId, Digest, TeamId, VersionId
from muniment.domain.version import State

_LOG = logging.getLogger(__name__)

DRAFT = "draft"
BATCH = 500


@frozen
class Site:
    """A place and what it is to the store: *needed* ones hold versions, others only what nothing needs any more."""

    key: str
    url: str | None
    blobs: BlobStore
    needed: bool = True

    def named(self, text: str) -> str:
        """Return a line about something in this place; the store's own needs no name."""
        return text if self.key == OWN else f"{text} (in {self.url})"


def sites(store: Store) -> list[Site]:
    """Return every place that blobs of the store may lie in, its own first.

    One that no team needs any more is left out if it cannot be opened, because it may be gone.
    """
    needed: dict[str, str | None] = {OWN: None}
    left: dict[str, str] = {}
    for team in store.views.select(TeamRow, order="name"):
        kept = store.kept(team.team_id)
        needed |= {store.places.key(url): url for url in kept.needed if store.places.key(url) != OWN}
        left |= {store.places.key(url): url for url in kept.left if url is not None}
    found = [Site(key, url, store.blobs_at(url)) for key, url in needed.items()]
    return [*found, *(site for key, url in left.items() if key not in needed and (site := _left(store, key, url)))]


def _left(store: Store, key: str, url: str) -> Site | None:
    """Open a place that is not needed any more, if it is still there."""
    folder = folder_of(url)
    try:
        if folder is not None and not folder.is_dir():
            return None
        blobs = store.blobs_at(url)
        next(blobs.list(), None)
    except StorageError as error:
        say(_LOG, logging.WARNING, "a place that no team needs any more was left out", error=type(error).__name__)
        return None
    return Site(key, url, blobs, needed=False)


def team_of(views: Views, version: VersionRow) -> TeamId | None:
    """Return the team in whose project a version was made, whatever was deleted since."""
    at = version.created_seq
    artifact = views.find(ArtifactRow, at=at, artifact_id=version.artifact_id)
    project = views.find(ProjectRow, at=at, project_id=artifact.project_id) if artifact else None
    return project.team_id if project else None


def in_state(views: Views, state: State) -> Iterator[VersionRow]:
    """Yield the versions in a state, in the order in which they were made."""
    after = None
    while page := views.select(VersionRow, state=state.value, order="created_at", after=after, limit=BATCH):
        yield from page
        after = page[-1].created_at


@frozen
class Root:
    """A manifest that is needed: of a version, or (``None``) of a part of one that is being made; and whose it is."""

    manifest: Digest
    team_id: TeamId | None
    version: VersionRow | None = None


def roots(store: Store, without: Iterable[VersionId] = ()) -> Iterator[Root]:
    """Yield the manifests of all versions that are not purged, *without* some, and of parts.

    One that was let go counts only while a hold is in force for it, which then keeps what is still there.
    """
    left_out, teams = set(without), Teams(store.views)
    for state in (State.COMMITTED, State.DELETED, State.LET_GO):
        for version in in_state(store.views, state):
            if state is State.LET_GO and not holds.on_version(store.views, version):
                continue
            if version.manifest is not None and version.version_id not in left_out:
                yield Root(Digest(version.manifest), teams.of(version), version)
    for _, part in store.ledger.scratch.items(DRAFT):
        if "manifest" in part:
            yield Root(Digest(part["manifest"]), part.get("team"))


@define
class Teams:
    """Whose versions are, looked up once for each artifact."""

    views: Views
    _known: dict[ArtifactId, TeamId | None] = field(init=False, factory=dict)

    def of(self, version: VersionRow) -> TeamId | None:
        """Return the team in whose project a version was made."""
        if version.artifact_id not in self._known:
            self._known[version.artifact_id] = team_of(self.views, version)
        return self._known[version.artifact_id]


@define
class Reach:
    """The digests that are needed, for each group of places that the same versions may lie in."""

    store: Store
    _needed: dict[frozenset[str], set[Digest]] = field(init=False, factory=dict)
    _groups: dict[TeamId | None, frozenset[str]] = field(init=False, factory=dict)
    _stores: dict[TeamId | None, Store] = field(init=False, factory=dict)

    def group(self, team_id: TeamId | None) -> frozenset[str]:
        """Return the keys of the places in which a team's versions may lie; of nobody's, all that are needed."""
        if team_id not in self._groups:
            keys = self.store.places.key
            urls = [site.url for site in sites(self.store)] if team_id is None else self.store.kept(team_id).needed
            self._groups[team_id] = frozenset(keys(url) for url in urls)
        return self._groups[team_id]

    def add(self, root: Root) -> None:
        """Count what a manifest needs; one that cannot be read is CorruptError, for nothing is sure without it."""
        seen = self._needed.setdefault(self.group(root.team_id), set())
        try:
            seen.update(self.manifest(root).blobs(seen))
        except (CorruptError, NotFoundError) as error:
            if root.version is not None and root.version.state == State.LET_GO.value:
                return  # it was on its way out when the hold came
            msg = f"{self.named(root)} cannot be read, so no bytes are let go — run `muniment fsck`: {error}"
            raise CorruptError(msg) from error

    def named(self, root: Root) -> str:
        """Return what a manifest is called in errors."""
        version = root.version
        whose = "a part of a version that is being made" if version is None else name_of(self.store, version)
        return f"the manifest of {whose}"

    def manifest(self, root: Root) -> manifests.Manifest:
        """Open a manifest where its team's versions are read."""
        return manifests.read(self.seen_by(root.team_id).blobs, self.store.codec, root.manifest)

    def seen_by(self, team_id: TeamId | None) -> Store:
        """Return the store with the blobs of a team."""
        if team_id not in self._stores:
            self._stores[team_id] = self.store if team_id is None else self.store.of_team(team_id)
        return self._stores[team_id]

    def at(self, key: str) -> set[Digest]:
        """Return what is needed in a place."""
        groups = [needed for keys, needed in self._needed.items() if key in keys]
        return groups[0] if len(groups) == 1 else set().union(*groups)

    def around(self, team_id: TeamId | None) -> set[Digest]:
        """Return what is needed in any of the places in which a team's versions may lie."""
        return set().union(*(self.at(key) for key in self.group(team_id)))


def reach(store: Store, without: Iterable[VersionId] = ()) -> Reach:
    """Return what all versions and drafts need, *without* some versions."""
    found = Reach(store)
    for root in roots(store, without):
        found.add(root)
    return found


def name_of(store: Store, version: VersionRow) -> str:
    """Return how a version is named to people; by its id where what it was part of is gone."""
    try:
        found = catalog.origin(store.views, version.version_id)
    except NotFoundError:
        return version.version_id
    return f"{found.team.name}/{found.project.name}/{found.artifact.name}:v{version.index}"
