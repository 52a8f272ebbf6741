"""Carrying blobs from place to place: copied, read back and verified, and only then believed to be there."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from functools import partial
from hashlib import sha256
from typing import Final

from attrs import define, evolve, field, frozen

from muniment.app import directory, leases, storage
from muniment.app.carrying import Carrier
from muniment.app.collecting import collect, disposal
from muniment.app.leases import Lease
from muniment.app.places import OWN, OWN_NAME, TeamBlobs, folder_of
from muniment.app.progress import SILENT, Progress
from muniment.app.reach import DRAFT, Reach, Root, roots, sites, team_of
from muniment.app.storage import TARGET
from muniment.app.store import Store
from muniment.app.transact import Request, Steps
from muniment.app.upload import rescue_at
from muniment.domain import team as teams
from muniment.domain.errors import CorruptError, InvalidValueError, LeaseExpiredError, NotFoundError
from muniment.domain.evidence import Trigger
from muniment.domain.ports import BlobSource, BlobStore, Scratch, Transaction, Views
from muniment.domain.rows import TeamRow, VersionRow
from muniment.domain.values import Digest, Micros, TeamId
from muniment.domain.version import State

BLOCK: Final = 1 << 20
BATCH: Final = 4096


@frozen
class Carried:
    """What carrying came to; ``blobs`` is how many there are to be, all of them verified in the new place.

    ``deleted`` and ``freed`` are blobs and bytes that went from the old places; ``kept`` dead blobs were left there
    because of running sessions, ``failed`` says what could not be deleted.
    """

    place: str | None
    versions: int = 0
    blobs: int = 0
    copied: int = 0
    copied_size: int = 0
    deleted: int = 0
    freed: int = 0
    kept: int = 0
    failed: tuple[str, ...] = ()


@frozen
class Planned:
    """What carrying would do: of so many versions and blobs, so many blobs are not in the new place yet."""

    place: str | None
    versions: int
    blobs: int
    missing: int


def plan(store: Store, name: str | None, url: str | None) -> Planned:
    """Return what carrying a team, or (``None``) all that lies in the store's own place, would do; do nothing."""
    place = storage.place_of(store, url)
    row = None if name is None else directory.team(store.views, name)
    wanted = _wanted(store, row)
    folder = None if place is None else folder_of(place)
    if folder is not None and not folder.is_dir():
        missing: Collection[Digest] = wanted.blobs
    else:
        missing = storage.opened(store, place).missing(wanted.blobs)
    return Planned(place, wanted.versions, len(wanted.blobs), len(missing))


def migrate(
    store: Store, name: str, url: str | None, *, delete_source: bool = False, progress: Progress = SILENT
) -> Carried:
    """Bring all blobs of a team's versions to another place, ``None`` for the store's own, and let new ones go there.

    Every blob is read back from there before the team's place changes; versions that are logged meanwhile come along.
    Deleted versions that can be restored do too. Ended at any point, it goes on where it was when it is done again.
    With *delete_source* what nothing needs any more is then deleted from the team's earlier places, as collecting
    would later; only an admin of the organisation may.
    """
    row = directory.team(store.views, name)
    place = storage.place_of(store, url)
    storage.permit(store, row)
    if delete_source:
        collect.require_permission(store)
    target = storage.try_place(store, place)
    before = {store.places.key(each) for each in store.kept(row.team_id).needed} - {store.places.key(place)}
    carrying = _Carrying(store, row, place, target, progress)
    carrying.under_leases(lambda lease, wanted: _arrive(store, row, place, lease, wanted))
    done = carrying.result()
    if not delete_source or not before:
        return done
    among = [site for site in sites(store) if site.key in before]
    gone = disposal.dispose(store, None, Trigger.CARRIED, among=among, progress=progress)
    return evolve(done, deleted=gone.blobs, freed=gone.size, kept=gone.kept, failed=gone.failed)


def migrate_own(store: Store, url: str, *, progress: Progress = SILENT) -> Carried:
    """Copy what lies in the store's own place to another one, verified; only an admin of the organisation may.

    The place changes with the setting, so nobody may log meanwhile, or it is to be done again.
    """
    place = storage.place_of(store, url)
    if place is None:
        msg = f"{url} is {OWN_NAME} already — give the new one"
        raise InvalidValueError(msg)
    collect.require_permission(store)
    carrying = _Carrying(store, None, place, storage.try_place(store, place), progress)

    def arrive(lease: Lease, wanted: _Wanted) -> bool:
        def act(transaction: Transaction) -> bool:
            steps = Steps(transaction)
            if not wanted.is_all(steps.views, steps.scratch):
                return False
            leases.spend(steps, lease)
            return True

        return store.ledger.work(act)

    carrying.under_leases(arrive)
    return carrying.result()


def _arrive(store: Store, row: TeamRow, place: str | None, lease: Lease, wanted: _Wanted) -> bool:
    """Say that all is there, in one transaction with a last look; false if something came meanwhile."""

    def decide(steps: Steps) -> bool:
        if not wanted.is_all(steps.views, steps.scratch):
            return False
        storage.require(steps, store, row)
        leases.spend(steps, lease)
        steps.step(teams.TEAM, row.team_id, teams.gather_storage, place)
        steps.scratch.delete(TARGET, store.places.key(place))
        return True

    return bool(store.transact(Request("migrate storage", place, row.team_id), decide).answer)


# --- what is to be there ---------------------------------------------------------------------------------------------


@frozen
class _Wanted:
    """What was to be carried when it was looked: all that was made until *seen_at*, and these *parts*."""

    team_id: TeamId | None
    blobs: set[Digest]
    versions: int
    seen_at: Micros
    parts: frozenset[str]

    def is_all(self, views: Views, scratch: Scratch) -> bool:
        """Whether nothing came since."""
        if _parts(scratch, self.team_id) - self.parts:
            return False
        for state in (State.COMMITTED, State.DELETED):
            for version in views.select(VersionRow, state=state.value, order="created_at", after=self.seen_at):
                if self.team_id in {None, team_of(views, version)}:
                    return False
        return True


def _wanted(store: Store, row: TeamRow | None) -> _Wanted:
    """Look which blobs a team needs, or (``None``) which of those that are needed lie in the store's own place."""
    team_id = None if row is None else row.team_id
    seen_at = max((_newest(store.views, state) for state in (State.COMMITTED, State.DELETED)), default=0)
    parts = _parts(store.ledger.scratch, team_id)
    reading = Reach(store)
    blobs: set[Digest] = set()
    elsewhere: set[Digest] = set()
    versions = 0
    for root in roots(store):
        if not _is_meant(reading, root, team_id):
            continue
        alone = team_id is not None or reading.group(root.team_id) == {OWN}
        held = blobs if alone else elsewhere
        held.update(storage.read_root(reading, root, held))
        versions += root.version is not None
    if elsewhere:
        blobs |= elsewhere - store.own_blobs.missing(elsewhere)
    return _Wanted(team_id, blobs, versions, seen_at, parts)


def _is_meant(reading: Reach, root: Root, team_id: TeamId | None) -> bool:
    if team_id is None:
        return OWN in reading.group(root.team_id)
    return root.team_id in {None, team_id}


def _newest(views: Views, state: State) -> Micros:
    rows = views.select(VersionRow, state=state.value, order="created_at", descending=True, limit=1)
    return rows[0].created_at if rows else 0


def _parts(scratch: Scratch, team_id: TeamId | None) -> frozenset[str]:
    return frozenset(
        key for key, part in scratch.items(DRAFT) if team_id is None or part.get("team") in {None, team_id}
    )


# --- bringing it there -----------------------------------------------------------------------------------------------


@define
class _Carrying:
    """Blobs on their way into *target*; what was verified there under the lease in force is not looked at again."""

    store: Store
    row: TeamRow | None
    place: str | None
    target: BlobStore
    progress: Progress
    _verified: set[Digest] = field(init=False, factory=set)
    _copied: dict[Digest, int] = field(init=False, factory=dict)
    _versions: int = field(init=False, default=0)
    _renew_at: Micros = field(init=False, default=0)

    def result(self) -> Carried:
        """Return what was done."""
        copied = self._copied
        return Carried(self.place, self._versions, len(self._verified), len(copied), sum(copied.values()))

    def under_leases(self, arrive: Callable[[Lease, _Wanted], bool]) -> None:
        """Carry until *arrive* says that nothing came meanwhile; a lease that ended makes all of it be verified again.

        The lease keeps what was carried from being collected before the team's place is this one.
        """
        while True:
            lease = leases.take(self.store)
            self._renew_at = self.store.clock() + leases.LASTING // 2
            self._verified.clear()
            try:
                while not arrive(lease, self._all(lease)):
                    pass
            except LeaseExpiredError:
                continue
            except BaseException:
                leases.release(self.store, lease)
                raise
            return

    def _all(self, lease: Lease) -> _Wanted:
        """Bring and verify what is wanted and was not verified yet."""
        wanted = _wanted(self.store, self.row)
        self._versions = wanted.versions
        waiting = sorted(wanted.blobs - self._verified)
        for start in range(0, len(waiting), BATCH):
            self._batch(lease, waiting[start : start + BATCH])
        self._verified &= wanted.blobs
        return wanted

    def _batch(self, lease: Lease, batch: list[Digest]) -> None:
        rescue_at(self.store, self.store.places.key(self.place), batch)
        missing = self.target.missing(batch)
        self._copy(lease, sorted(missing))
        wrong = self._unverified(lease, batch)
        if again := [digest for digest in wrong if digest not in missing]:
            with self.store.ledger.alone():
                results = list(self.target.delete_many(again))
            for result in results:
                if result.error is not None:
                    raise result.error
            self._copy(lease, again)
            wrong = self._unverified(lease, wrong)
        if wrong:
            msg = (
                f"blob {wrong[0]} is not in {self.place or OWN_NAME} as it was put there — the place cannot be trusted"
            )
            raise CorruptError(msg)
        self._verified.update(batch)

    def _copy(self, lease: Lease, digests: list[Digest]) -> None:
        self.progress.ahead("copying", len(digests))
        sizes: dict[Digest, int] = {}
        with Carrier(self.store) as carrier:
            for result in self.target.put_many(self._sources(carrier, digests, sizes)):
                if result.error is not None:
                    raise result.error
                self._copied[result.digest] = sizes[result.digest]
                carrier.forget(result.digest)
                self.progress.done(1, sizes[result.digest])
                self._renew(lease)

    def _sources(self, carrier: Carrier, digests: list[Digest], sizes: dict[Digest, int]) -> Iterator[BlobSource]:
        source = self._source()
        for digest in digests:
            try:
                found = carrier.fetch(source, digest)
            except NotFoundError as error:
                msg = f"blob {digest} is in no place of the team — `muniment fsck` names the versions that miss it"
                raise CorruptError(msg) from error
            sizes[digest] = found.size
            yield found

    def _source(self) -> BlobStore:
        """Return the blobs to copy from: of every place but the one that they are brought to."""
        needed = () if self.row is None else self.store.kept(self.row.team_id).needed
        key = self.store.places.key
        places = {key(place): place for place in (*needed, None) if key(place) != key(self.place)}
        if not places:
            return self.target
        first, *others = places.values()
        return TeamBlobs(self.store.blobs_at(first), tuple(partial(self.store.blobs_at, place) for place in others))

    def _unverified(self, lease: Lease, digests: list[Digest]) -> list[Digest]:
        """Read blobs in the new place to their ends; return those that are not what they should be."""
        self.progress.ahead("verifying", len(digests))
        wrong = []
        for digest in digests:
            if not self._is_right(digest):
                wrong.append(digest)
            self._renew(lease)
        return wrong

    def _is_right(self, digest: Digest) -> bool:
        hashing, size = sha256(), 0
        try:
            with self.target.open(digest) as stream:
                while block := stream.read(BLOCK):
                    hashing.update(block)
                    size += len(block)
        except (CorruptError, NotFoundError):
            return False
        self.progress.done(1, size)
        return hashing.hexdigest() == digest

    def _renew(self, lease: Lease) -> None:
        if self.store.clock() >= self._renew_at:
            leases.renew(self.store, lease)
            self._renew_at = self.store.clock() + leases.LASTING // 2
