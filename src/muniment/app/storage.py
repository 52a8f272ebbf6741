"""The places in which teams keep their blobs: showing them, and saying where new blobs go."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal, TypeAlias

from attrs import frozen

from muniment.app import directory
from muniment.app.places import OWN, OWN_NAME, absolute, probe
from muniment.app.reach import Reach, Root, Site, reach, roots, sites
from muniment.app.store import Store
from muniment.app.transact import Request, Steps
from muniment.domain import team as teams
from muniment.domain.errors import InvalidValueError, MunimentError, NotFoundError, StorageError
from muniment.domain.ports import BlobStore
from muniment.domain.rows import TeamRow
from muniment.domain.values import Digest, Role, TeamId

State: TypeAlias = Literal["current", "earlier", "left"]

TARGET: Final = "storage-target"
"""The kind of scratch row that remembers which place blobs are being carried to."""


@frozen
class PlaceUse:
    """What a team keeps in one of its places: manifests are among the blobs; *place* ``None`` is the store's own."""

    team: str
    place: str | None
    state: State
    versions: int
    blobs: int
    size: int


def shown(store: Store, name: str | None = None) -> Iterator[PlaceUse]:
    """Yield the places of a team, or of all, the current one first, with what of the team's lies there."""
    rows = [directory.team(store.views, name)] if name else store.views.select(TeamRow, order="name")
    wanted = {row.team_id for row in rows}
    needed: dict[TeamId, tuple[set[Digest], list[Digest]]] = {team_id: (set(), []) for team_id in wanted}
    reading = Reach(store)
    for root in roots(store):
        if root.team_id in wanted:
            held, manifests = needed[root.team_id]
            held.update(read_root(reading, root, held))
            if root.version is not None:
                manifests.append(root.manifest)
    listed = {site.key: dict(site.blobs.list()) for site in sites(store)}
    for row in rows:
        kept = store.kept(row.team_id)
        states: list[tuple[str | None, State]] = [(kept.current, "current")]
        states += [(place, "earlier") for place in kept.earlier]
        states += [(place, "left") for place in kept.left]
        for place, state in states:
            there = listed.get(store.places.key(place), {})
            held, manifests = needed[row.team_id]
            sizes = [there[digest] for digest in held if digest in there]
            versions = sum(manifest in there for manifest in manifests)
            yield PlaceUse(row.name or "", place, state, versions, len(sizes), sum(sizes))


def set_place(store: Store, name: str, url: str | None) -> str | None:
    """Let new blobs of a team go to another place, ``None`` for the store's own; return the place as it is kept.

    What is in its earlier places stays there and is read from there. The place is tried before: one that cannot be
    written, read and deleted from is StorageError, one that holds other blobs than this store's InvalidValueError.
    """
    row = directory.team(store.views, name)
    place = place_of(store, url)
    permit(store, row)
    try_place(store, place)

    def decide(steps: Steps) -> None:
        require(steps, store, row)
        steps.step(teams.TEAM, row.team_id, teams.set_storage, place)
        steps.scratch.delete(TARGET, store.places.key(place))

    store.transact(Request("set storage", place, row.team_id), decide)
    return place


def place_of(store: Store, url: str | None) -> str | None:
    """Return a place as it is kept: the store's own is ``None``, however it was written."""
    place = None if url is None else absolute(url)
    return None if place is None or store.places.key(place) == OWN else place


def permit(store: Store, row: TeamRow) -> None:
    """Refuse who may not say where a team's blobs are kept."""
    store.transact(Request("permit storage", None, row.team_id), lambda steps: require(steps, store, row))


def require(steps: Steps, store: Store, row: TeamRow) -> None:
    """Refuse, inside a transaction, who may not say where a team's blobs are kept."""
    act = "say where the blobs are kept"
    directory.require_team_role(steps.views, row, store.context.actor, Role.ADMIN, act)


def try_place(store: Store, place: str | None) -> BlobStore:
    """Return the blobs of a place after putting, reading and deleting one; refuse what is another's, or is there twice.

    A place that is not known yet may hold no blobs but those of this store, because collecting deletes the others.
    From then on it counts as known, until the team's place changes.
    """
    blobs = opened(store, place)
    key, known = store.places.key(place), sites(store)
    is_new = key not in {site.key for site in known} and store.ledger.scratch.get(TARGET, key) is None
    if is_new:
        _require_ours(store, place, blobs)
        store.ledger.work(lambda transaction: transaction.scratch.put(TARGET, key, {"place": place}))
    try:
        probe(blobs, lambda digest: _seen_once(place, digest, [site for site in known if site.key != key]))
    except MunimentError as error:
        if is_new:
            store.ledger.work(lambda transaction: transaction.scratch.delete(TARGET, key))
        if not isinstance(error, StorageError):
            raise
        msg = f"blobs cannot be kept in {place or OWN_NAME}: {error}"
        raise StorageError(msg) from error
    return blobs


def opened(store: Store, place: str | None) -> BlobStore:
    """Open a place; what keeps it from being opened names the place."""
    try:
        return store.blobs_at(place)
    except (StorageError, NotFoundError) as error:
        msg = f"{place or OWN_NAME} cannot be opened: {error}"
        raise StorageError(msg) from error


def _seen_once(place: str | None, digest: Digest, others: list[Site]) -> None:
    for site in others:
        if not site.blobs.missing([digest]):
            msg = f"{place or OWN_NAME} is {site.url or OWN_NAME} by another name — write it as it is known"
            raise InvalidValueError(msg)


def _require_ours(store: Store, place: str | None, blobs: BlobStore) -> None:
    there = {digest for digest, _ in blobs.list()}
    if not there:
        return
    needed, keys = reach(store), [site.key for site in sites(store)]
    strange = there.difference(*(needed.at(key) for key in keys))
    if strange:
        msg = (
            f"{place} holds {len(strange)} blobs that no version of this store needs, which collecting would delete — "
            "a place belongs to one store alone: give an empty one"
        )
        raise InvalidValueError(msg)


def read_root(reading: Reach, root: Root, held: set[Digest]) -> set[Digest]:
    """Return the blobs that a manifest needs, apart from what was seen; one that cannot be read names its version."""
    try:
        return set(reading.manifest(root).blobs(held))
    except MunimentError as error:
        msg = f"{reading.named(root)} cannot be read — run `muniment fsck`: {error}"
        raise StorageError(msg) from error
