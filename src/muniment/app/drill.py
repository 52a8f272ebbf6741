"""The drill: an invented person is erased from an invented store, and every promise of an erasure is put to the test.

Words that nobody else uses, canaries, are planted in every input that is about the person. They must be found before
the erasure, or the search proves nothing; and by no means afterwards, also not after an old backup was put back.
"""

from __future__ import annotations

import io
import shutil
import sqlite3
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from typing import Final, TypeAlias

from attrs import define, field, frozen

from muniment.app import (
    approvals,
    catalog,
    certificate,
    data_subjects,
    directory,
    erasing_check,
    erasures,
    fence,
    runs,
    scan,
)
from muniment.app import requests as requests_
from muniment.app.download import download
from muniment.app.erasing import Eraser, Step
from muniment.app.log_artifact import Draft, Logged
from muniment.app.staging import Staged
from muniment.app.store import Store
from muniment.app.subjects import address as address_of
from muniment.app.upload import log_contents
from muniment.domain.approval import Act
from muniment.domain.data_subject import TargetKind
from muniment.domain.errors import MunimentError, SubjectErasedError
from muniment.domain.manifest import Entry
from muniment.domain.ports import BlobSource
from muniment.domain.request import Right, Verdict
from muniment.domain.rows import ProjectRow, RunRow
from muniment.domain.values import Digest, Role, RunId

OPERATOR, SECOND = "operator", "second-admin"
DATABASES: Final = ("ledger.sqlite3", "vault.sqlite3", "keys.sqlite3")
ATTACHED: Final = 3
BACKUP: Final = "backup"
HOME: Final = "store"

PLAIN: Final = ("name", "alias", "tag", "path", "reference", "content", "member", "entry", "bytes", "run", "group")
"""The inputs that are stored so that whoever has the files can read them."""
SEALED: Final = ("identity", "letter", "seen", "description", "key", "value", "config", "notes")
"""The inputs that are stored encrypted."""

Opening: TypeAlias = Callable[[Path, str, bool], Store]
"""Opens the store in a folder as somebody, for erasing again or not."""


@frozen
class Line:
    """One step of the drill: what was done, whether it came out as it must, and what was seen."""

    step: str
    ok: bool
    told: str = ""


@frozen
class Planted:
    """What was planted: each word in its input."""

    words: dict[str, str]

    @classmethod
    def fresh(cls) -> Planted:
        """Return a word for every input that there is, none of which was ever used before."""
        inputs = (
            "identity",
            "letter",
            "seen",
            "name",
            "alias",
            "tag",
            "description",
            "key",
            "value",
            "path",
            "reference",
        )
        more = ("content", "member", "entry", "bytes", "run", "config", "notes", "group")
        return cls({each: f"{each}-canary-{token_hex(12)}" for each in (*inputs, *more)})

    def __getitem__(self, which: str) -> str:
        return self.words[which]

    @property
    def all(self) -> list[str]:
        """Every word."""
        return list(self.words.values())


@define
class Drill:
    """One drill in an empty *folder*; steps of the erasure in *without* are left out, to see that they are missed.

    *places* are more places to search than the folder, and *settle* is called before each search, so that what waits in
    memory is where it belongs. *restorable* is false where no backup can be put back.
    """

    folder: Path
    opening: Opening
    places: tuple[str, ...] = ()
    without: frozenset[Step] = frozenset()
    restorable: bool = True
    settle: Callable[[], object] = lambda: None
    planted: Planted = field(factory=Planted.fresh)
    _store: Store | None = field(init=False, default=None)
    _request: str = field(init=False, default="")

    def run(self) -> Iterator[Line]:
        """Go through the drill and yield what came of each step; it ends after what fails, and a search after that."""
        steps: list[tuple[str, Callable[[], tuple[bool, str]]]] = [
            ("store data about an invented person, a word in every input", self._ingest),
            ("find the words before the erasure", self._found_before),
            ("look up the scope, decide with two people", self._decided),
            ("erase", self._erased),
            ("verify by other ways", self._verified),
            ("find no word in any file", self._absent),
            ("refuse the same bytes", self._refused),
        ]
        if self.restorable:
            steps += [
                ("refuse a backup from before", self._backup_refused),
                ("erase it again", self._erased_again),
                ("find no word in any file of the restored store", self._absent),
            ]
        steps.append(("check the certificate", self._certified))
        red = False
        try:
            for name, act in steps:
                if red and act != self._absent:
                    return
                line = _line(name, act)
                yield line
                if red:
                    return
                red = not line.ok
        finally:
            self._close()

    # --- the steps ---------------------------------------------------------------------------------------------------

    def _ingest(self) -> tuple[bool, str]:
        store, said = self._opened(), self.planted
        directory.set_organisation_role(store, store.config.text("organisation"), SECOND, Role.ADMIN)
        subject = data_subjects.register(store, said["identity"]).subject_id
        project = directory.project(store.views, store.config.text("entity"), store.config.text("project"))
        run = _run(store, project, said)
        whole = log_files(
            store,
            project,
            [
                file_of(said["path"], said["content"].encode()),
                file_of("scans.zip", _zip(said["member"])),
                _link(said["reference"]),
            ],
            name=said["name"],
            aliases=(said["alias"],),
            tags=(said["tag"],),
            description=said["description"],
            metadata={said["key"]: [said["value"]]},
            run=run,
        )
        others = [file_of(f"others/{number}.txt", f"about somebody else, {number}".encode()) for number in range(20)]
        shared = log_files(store, project, [*others, file_of(said["entry"], said["bytes"].encode())], name="cohort")
        trained = runs.start(store, project, runs.RunDraft("train", "train"))
        runs.use(store, shared.version_id, RunId(trained.run_id))
        log_files(store, project, [file_of("weights.bin", b"weights")], name="model", run=trained, type_="model")
        data_subjects.attach(store, subject, TargetKind.ARTIFACT, whole.artifact_id)
        data_subjects.attach(store, subject, TargetKind.RUN, run.run_id)
        data_subjects.attach_entries(store, subject, shared.version_id, [said["entry"]])
        download(store.through_cache(), catalog.find(store.views, address_of(store, "cohort:v0")), self.folder / "read")
        shutil.rmtree(self.folder / "read")
        self._request = requests_.receive(store, Right.ERASURE, subject, text=said["letter"]).request_id
        requests_.identify(store, self._request, said["seen"])
        return True, f"{len(said.words)} words, request {self._request}"

    def _found_before(self) -> tuple[bool, str]:
        self._close()
        found = scan.scan(self.planted.all, self._everywhere())
        if self.restorable:
            copy_store(self.folder / HOME, self.folder.parent / f"{self.folder.name}-{BACKUP}")
        seen = {list(self.planted.words)[hit.canary - 1] for hit in found.hits}
        told = f"{len(seen)} words found, {len(SEALED)} are encrypted"
        missed = [*sorted(set(PLAIN) - seen), *found.unread]
        return not missed, f"{told}; not found: {', '.join(missed)}" if missed else told

    def _decided(self) -> tuple[bool, str]:
        store = self._opened()
        found = requests_.scope(store, self._request)
        proposal = approvals.propose(store, Act.ERASE, self._request)
        second = self.opening(self.folder / HOME, SECOND, False)  # noqa: FBT003
        approvals.approve(second, proposal)
        second.ledger.close()
        requests_.decide(store, self._request, Verdict.APPROVED)
        told = f"{len(found.items)} things, {len(found.derived)} derived"
        return (len(found.items), len(found.derived)) == (ATTACHED, 1), told

    def _erased(self) -> tuple[bool, str]:
        row = Eraser(self._opened(), self._request, without=self.without).execute()
        return row.erased == row.found, f"{row.erased} of {row.found} things"

    def _verified(self) -> tuple[bool, str]:
        found = erasing_check.verify(self._opened(), self._request)
        return not found.findings, "; ".join(found.findings) or "nothing found"

    def _absent(self) -> tuple[bool, str]:
        self._close()
        found = scan.scan(self.planted.all, self._everywhere())
        *lines, total = scan.lines(found)
        names_ = list(self.planted.words)
        where = sorted({f"{names_[hit.canary - 1]} in {Path(hit.place).name}" for hit in found.hits})
        return found.clean, "; ".join([*where, total]) if lines else total

    def _refused(self) -> tuple[bool, str]:
        store, said = self._opened(), self.planted
        project = directory.project(store.views, store.config.text("entity"), store.config.text("project"))
        before = store.ledger.head().size
        try:
            log_files(store, project, [file_of("another-name.txt", said["bytes"].encode())], name="again")
        except SubjectErasedError:
            denied = [type(recorded.event).__name__ for recorded in store.ledger.read(after=before)]
            address = address_of(store, "cohort:v0")
            version_id = catalog.find(store.views, address).version.version_id
            gone = fence.gone(store, version_id, said["entry"])
            return denied == ["Denied"] and gone is not None, "refused, and the refusal is on record"
        return False, "the same bytes came in again"

    def _backup_refused(self) -> tuple[bool, str]:
        certificate.issue(self._opened(), self._request)
        certificate.bundle(self._opened(), self._request, self.folder / "certificate")
        self._close()
        copy_store(self.folder.parent / f"{self.folder.name}-{BACKUP}", self.folder / HOME)
        shutil.rmtree(self.folder.parent / f"{self.folder.name}-{BACKUP}")
        try:
            self._opened()
        except SubjectErasedError as error:
            return True, str(error)
        return False, "the old store opens as if nothing was erased"

    def _erased_again(self) -> tuple[bool, str]:
        self._store = self.opening(self.folder / HOME, OPERATOR, True)  # noqa: FBT003
        rows = list(erasures.again(self._store))
        self._close()
        self._request = rows[0].request_id if rows else ""
        return len(rows) == 1, f"by request {self._request}"

    def _certified(self) -> tuple[bool, str]:
        store = self._opened()
        row = certificate.issue(store, self._request)
        seq = certificate.check(store, certificate.read(store, self._request))
        told = certificate.page(certificate.read(store, self._request))
        return not any(word in told for word in self.planted.all), f"certificate {row.certificate_id}, event {seq}"

    # --- helpers -----------------------------------------------------------------------------------------------------

    def _opened(self) -> Store:
        if self._store is None:
            self._store = self.opening(self.folder / HOME, OPERATOR, False)  # noqa: FBT003
        return self._store

    def _close(self) -> None:
        if self._store is not None:
            self._store.ledger.close()
            self._store = None

    def _everywhere(self) -> list[str]:
        self.settle()
        return [str(self.folder), *self.places]


def _line(name: str, act: Callable[[], tuple[bool, str]]) -> Line:
    try:
        ok, told = act()
    except MunimentError as error:
        return Line(name, ok=False, told=f"{type(error).__name__}: {error}")
    return Line(name, ok, told)


def _run(store: Store, project: ProjectRow, said: Planted) -> RunRow:
    config = {"patient": said["config"]}
    return runs.start(
        store, project, runs.RunDraft("collect", said["run"], group=said["group"], notes=said["notes"], config=config)
    )


def log_files(
    store: Store,
    project: ProjectRow,
    files: list[Staged],
    *,
    name: str,
    run: RunRow | None = None,
    type_: str = "dataset",
    **said: object,
) -> Logged:
    """Log files as a version; *said* is what else a draft may say."""
    return log_contents(
        store,
        project,
        files,
        lambda written: Draft(
            name,
            type_,
            written.digest,
            written.manifest,
            written.size,
            written.entries,
            **said,  # type: ignore[arg-type]
        ),
        run_id=None if run is None else RunId(run.run_id),
    )


def file_of(path: str, content: bytes) -> Staged:
    """Return a file to be logged."""
    digest = Digest(sha256(content).hexdigest())
    return Staged(Entry(path, digest, len(content)), BlobSource(digest, len(content), content))


def _link(where: str) -> Staged:
    url = f"https://example.org/{where}"
    return Staged(Entry("link", url, None, url), None)


def _zip(word: str) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("member.txt", f"{word}\n" * 50)
    return held.getvalue()


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
