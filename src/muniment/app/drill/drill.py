"""The drill: an invented person is erased from an invented store, and every promise of an erasure is put to the test.

Words that nobody else uses, canaries, are planted in every input that is about the person. They must be found before
the erasure, or the search proves nothing; and by no means afterwards, also not after an old backup was put back.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Final, Protocol, cast

from attrs import define, field, frozen

from muniment.app import approvals, catalog, fence, scan
from muniment.app.drill.outputs import Said
from muniment.app.drill.world import (
    LEDGER,
    OPERATOR,
    PLAIN,
    SEALED,
    SECOND,
    Beside,
    Opening,
    Planted,
    file_of,
    leave,
    log_files,
    plant,
    project_of,
    second_admin,
)
from muniment.app.erasing import certificate, checking, erasures
from muniment.app.erasing import requests as requests_
from muniment.app.erasing.executing import Eraser, Step
from muniment.app.noted import noted
from muniment.app.personal import personal_slots
from muniment.app.store import Store
from muniment.app.subjects import address as address_of
from muniment.domain.approval import Act
from muniment.domain.errors import MunimentError, SubjectErasedError
from muniment.domain.ports import Vault
from muniment.domain.request import Verdict
from muniment.domain.values import SlotId

DATABASES: Final = (LEDGER, "vault.sqlite3", "keys.sqlite3")
ATTACHED: Final = 3
BACKUP: Final = "backup"
HOME: Final = "store"
BYTES: Final = (Step.MANIFESTS, Step.VERSIONS, Step.PARTS, Step.BLOBS)
"""The steps without which contents stay where blobs are."""
ROWS: Final = (Step.VERSIONS, Step.WORDS)
"""The steps without which words stay in events and rows."""


class OpenVault(Vault, Protocol):
    """A vault of which one may look at what is stored, and with which keys."""

    def slots(self) -> Iterator[tuple[object, ...]]:
        """Yield the slots as they are stored."""

    def data_keys(self) -> list[tuple[str, bytes]]:
        """Return the owners of keys, and the wrapped keys."""


@frozen
class Line:
    """One step of the drill: what was done, whether it came out as it must, and what was seen.

    *missed* are the steps of the erasure that should have taken away what was seen.
    """

    step: str
    ok: bool
    told: str = ""
    missed: tuple[Step, ...] = ()


@frozen
class Sealed:
    """What was in the vault before the erasure: the slots that hold words, and all keys, as an old backup has them."""

    slots: frozenset[SlotId]
    owners: frozenset[str]
    keys: frozenset[tuple[str, bytes]]


@define
class Drill:
    """One drill in an empty *folder*; steps of the erasure in *without* are left out, to see that they are missed.

    *places* are more places to search than the folder, *settle* is called before each search, so that what waits in
    memory is where it belongs, and *meanwhile* before the erasure: it may leave something behind. *restorable* is false
    where no backup can be put back.
    """

    folder: Path
    opening: Opening
    places: tuple[str, ...] = ()
    without: frozenset[Step] = frozenset()
    restorable: bool = True
    settle: Callable[[], object] = lambda: None
    meanwhile: Callable[[], object] = lambda: None
    planted: Planted = field(factory=Planted.fresh)
    _store: Store | None = field(init=False, default=None)
    _beside: Beside | None = field(init=False, default=None)
    _request: str = field(init=False, default="")
    _sealed: Sealed = field(init=False, default=Sealed(frozenset(), frozenset(), frozenset()))
    _missed: tuple[Step, ...] = field(init=False, default=())
    _said: Said = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._said = Said(self.folder / "said")

    def run(self) -> Iterator[Line]:
        """Go through the drill and yield what came of each step; after what fails it only looks for what is left."""
        looks = (self._verified, self._unsealed, self._absent)
        steps: list[tuple[str, Callable[[], Line]]] = [
            ("store data about an invented person, a word in every input", self._ingest),
            ("find the words before the erasure", self._found_before),
            ("look up the scope, decide with two people", self._decided),
            ("erase", self._erased),
            ("verify by other ways", self._verified),
            ("read no personal value with any key", self._unsealed),
            ("find no word in any file", self._absent),
            ("refuse the same bytes", self._refused),
        ]
        if self.restorable:
            steps += [
                ("refuse a backup from before", self._backup_refused),
                ("erase it again", self._erased_again),
                ("read no personal value of the restored store", self._unsealed),
                ("find no word in any file of the restored store", self._absent),
            ]
        else:
            steps.append(("note beside the store what must not come back", self._noted))
        steps.append(("check the certificate", self._certified))
        with self._said.listening():
            yield from self._gone_through(steps, looks)

    def _gone_through(
        self, steps: list[tuple[str, Callable[[], Line]]], looks: tuple[Callable[[], Line], ...]
    ) -> Iterator[Line]:
        red = False
        try:
            for name, act in steps:
                if red and act not in looks:
                    return
                line = self._line(name, act)
                yield line
                red = red or not line.ok
        finally:
            self._close()
            self._end_beside()
            shutil.rmtree(self._backup, ignore_errors=True)

    def _line(self, name: str, act: Callable[[], Line]) -> Line:
        try:
            line = act()
        except MunimentError as error:
            self._said.error(error)
            return Line(name, ok=False, told=f"{type(error).__name__}: {error}")
        steps = f" — left by: {', '.join(step.value for step in line.missed)}" if line.missed else ""
        return Line(name, line.ok, f"{line.told}{steps}", line.missed)

    # --- the steps ---------------------------------------------------------------------------------------------------

    def _ingest(self) -> Line:
        store = self._opened()
        second_admin(store)
        second = self.opening(self.folder / HOME, SECOND, False)  # noqa: FBT003
        self._beside = Beside(second)
        self._request = plant(store, second, self.folder, self.planted)
        self._beside.reader = leave(store, self.planted)
        return _said(ok=True, told=f"{len(self.planted.words)} words, request {self._request}")

    def _found_before(self) -> Line:
        sealed, read = self._read_all()
        self._sealed = sealed
        self._close()
        found = scan.scan(self.planted.all, self._everywhere())
        if self.restorable:
            copy_store(self.folder / HOME, self._backup)
        seen = {list(self.planted.words)[hit.canary - 1] for hit in found.hits}
        told = f"{len(seen & set(PLAIN))} words found, {len(read)} decrypted"
        missed = [*sorted(set(PLAIN) - seen), *sorted(set(SEALED) - read), *found.unread]
        open_ = sorted(seen - set(PLAIN))
        if open_:
            return _said(ok=False, told=f"{told}; found although it is encrypted or nowhere: {', '.join(open_)}")
        return _said(ok=not missed, told=f"{told}; not found: {', '.join(missed)}" if missed else told)

    def _decided(self) -> Line:
        store, beside = self._opened(), self._beside
        found = requests_.scope(store, self._request)
        proposal = approvals.propose(store, Act.ERASE, self._request, self.planted["comment"])
        if beside is not None:
            approvals.approve(beside.store, proposal)
        requests_.decide(store, self._request, Verdict.APPROVED)
        self._sealed, _ = self._read_all()
        self.meanwhile()
        told = f"{len(found.items)} things, {len(found.derived)} derived"
        return _said(ok=(len(found.items), len(found.derived)) == (ATTACHED, 1), told=told)

    def _erased(self) -> Line:
        row = Eraser(self._opened(), self._request, without=self.without).execute()
        return _said(ok=row.erased == row.found, told=f"{row.erased} of {row.found} things")

    def _verified(self) -> Line:
        found = checking.verify(self._opened(), self._request)
        self._missed = found.missed
        return Line("", not found.findings, "; ".join(found.findings) or "nothing found", found.missed)

    def _unsealed(self) -> Line:
        """Try to read what was planted with the keys that there are, and see what an old backup could be read with."""
        before, store = self._sealed, self._opened()
        self._said.shown(store)
        vault = cast("OpenVault", store.vault)
        read = len(vault.get_many(before.slots))
        there = sum(row[0] in before.slots for row in vault.slots())
        keys = len({key for key in vault.data_keys() if key in before.keys and key[0] in before.owners})
        ok = not (read or there or keys)
        told = f"{len(before.slots)} values tried: {read} can be read, {there} are stored, {keys} of their keys exist"
        return Line("", ok, told, () if ok else (Step.VAULT,))

    def _absent(self) -> Line:
        self._close()
        found = scan.scan(self.planted.all, self._everywhere())
        *lines, total = scan.lines(found)
        names, where = list(self.planted.words), [(hit.canary, self._short(hit.place)) for hit in found.hits]
        told = sorted({f"{names[canary - 1]} in {place}" for canary, place in where})
        missed = {self._culprit(place) for _, place in where} | {Step.BLOBS for _ in found.unread}
        steps = tuple(step for step in Step if step in missed)
        return Line("", found.clean, "; ".join([*told, *found.unread, total]) if lines else total, steps)

    def _refused(self) -> Line:
        store, said = self._opened(), self.planted
        before = store.ledger.head().size
        try:
            log_files(store, project_of(store), [file_of("another-name.txt", said["bytes"].encode())], name="again")
        except SubjectErasedError as error:
            self._said.error(error)
            denied = [type(recorded.event).__name__ for recorded in store.ledger.read(after=before)]
            version_id = catalog.find(store.views, address_of(store, "cohort:v0")).version.version_id
            gone = fence.gone(store, version_id, said["entry"])
            ok = denied == ["Denied"] and gone is not None
            return _said(ok=ok, told="refused, and the refusal is on record")
        return _said(ok=False, told="the same bytes came in again")

    def _noted(self) -> Line:
        ids = [line.request_id for line in noted(self._opened().config.home)]
        return _noting(self._request in ids, f"{len(ids)} erasures are noted")

    def _backup_refused(self) -> Line:
        certificate.issue(self._opened(), self._request)
        certificate.bundle(self._opened(), self._request, self.folder / "certificate")
        self._close()
        self._end_beside()
        copy_store(self._backup, self.folder / HOME)
        shutil.rmtree(self._backup)
        try:
            self._opened()
        except SubjectErasedError as error:
            self._said.error(error)
            return _said(ok=True, told=str(error))
        return _noting(ok=False, told="the old store opens as if nothing was erased")

    def _erased_again(self) -> Line:
        self._store = self.opening(self.folder / HOME, OPERATOR, True)  # noqa: FBT003
        rows = list(erasures.again(self._store))
        self._close()
        self._request = rows[0].request_id if rows else ""
        return _said(ok=len(rows) == 1, told=f"by request {self._request}")

    def _certified(self) -> Line:
        store = self._opened()
        row = certificate.issue(store, self._request)
        read = certificate.read(store, self._request)
        seq = certificate.check(store, read)
        page = certificate.page(read)
        clean = not any(word in page for word in self.planted.all)
        may_stay = sorted({str(each["place"]) for each in read.told["residuals"]})
        told = f"; it says that copies may stay in {', '.join(may_stay)}" if may_stay else ""
        return _said(ok=clean, told=f"certificate {row.certificate_id}, event {seq}{told}")

    # --- parts of them -----------------------------------------------------------------------------------------------

    @property
    def _backup(self) -> Path:
        return self.folder.with_name(f"{self.folder.name}-{BACKUP}")

    def _opened(self) -> Store:
        if self._store is None:
            self._store = self.opening(self.folder / HOME, OPERATOR, False)  # noqa: FBT003
        return self._store

    def _close(self) -> None:
        if self._store is not None:
            self._store.ledger.close()
            self._store = None

    def _end_beside(self) -> None:
        if self._beside is not None:
            self._beside.close()
            self._beside = None

    def _everywhere(self) -> list[str]:
        self.settle()
        return [str(self.folder), *self.places]

    def _read_all(self) -> tuple[Sealed, set[str]]:
        """Decrypt everything; return what holds words, under which keys, and which words these are."""
        vault = cast("OpenVault", self._opened().vault)
        every = {slot for recorded in self._opened().ledger.read() for slot in personal_slots(recorded.event)}
        values = {slot: str(value) for slot, value in vault.get_many(every).items()}
        words = self.planted.words.items()
        held = frozenset(slot for slot, value in values.items() if any(word in value for _, word in words))
        owners = frozenset(str(row[1]) for row in vault.slots() if row[0] in held)
        read = {name for name, word in words if any(word in values[slot] for slot in held)}
        return Sealed(held, owners, frozenset(vault.data_keys())), read

    def _short(self, place: str) -> str:
        return place.removeprefix(f"{self.folder}/").removeprefix(f"{HOME}/")

    def _culprit(self, place: str) -> Step:
        """Return the step of the erasure that should have taken a word from a place."""
        if place.startswith("cache/blobs/"):
            return Step.CACHES
        if place.startswith(("blobs/", "s3://")):
            return next((step for step in BYTES if step in self._missed), Step.BLOBS)
        return next((step for step in ROWS if step in self._missed), Step.SCRUB)


def _said(*, ok: bool, told: str) -> Line:
    return Line("", ok, told)


def _noting(ok: bool, told: str) -> Line:  # noqa: FBT001 (what came of it, as in every line)
    return Line("", ok, told, () if ok else (Step.NOTE,))


def copy_store(source: Path, target: Path) -> None:
    """Copy a store as a backup does: what it holds, and not the note of what was erased, which is kept apart."""
    target.mkdir(parents=True, exist_ok=True)
    for name in DATABASES:
        for leftover in (target / name, target / f"{name}-wal", target / f"{name}-shm"):
            leftover.unlink(missing_ok=True)
        with closing(sqlite3.connect(source / name)) as old, closing(sqlite3.connect(target / name)) as new:
            old.backup(new)
    shutil.rmtree(target / "blobs", ignore_errors=True)
    shutil.copytree(source / "blobs", target / "blobs")
