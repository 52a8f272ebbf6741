"""What a drill is about: words that nobody else uses, one in every input, and what programs leave lying about.

What is left lying about is there so that each step of an erasure is needed: were one left out, a word would be found.
"""

from __future__ import annotations

import io
import sqlite3
import zipfile
from collections.abc import Callable
from contextlib import closing, suppress
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO, Final, TypeAlias

from attrs import define, frozen

from muniment.app import approvals, catalog, directory, drafts, holds, lifecycle, runs
from muniment.app.erasing import data_subjects
from muniment.app.erasing import requests as requests_
from muniment.app.files.staging import LOCK, Staged, Staging
from muniment.app.log_artifact import Draft, Logged
from muniment.app.store import Store
from muniment.app.subjects import address as address_of
from muniment.app.upload import log_contents
from muniment.domain.approval import Act
from muniment.domain.data_subject import TargetKind
from muniment.domain.errors import NotFoundError
from muniment.domain.hold import HoldKind, ScopeKind
from muniment.domain.manifest import Entry
from muniment.domain.ports import BlobSource
from muniment.domain.request import Right
from muniment.domain.rows import ProjectRow, RunRow
from muniment.domain.values import Digest, Role, RunId

OPERATOR, SECOND = "operator", "second-admin"
LEDGER: Final = "ledger.sqlite3"
ROWS, TIMES = 4, 30
"""How many rows are left for each word in pages that nothing uses any more, and how often it stands in each."""
DAY: Final = 24 * 3600 * 1_000_000

PLAIN: Final = (
    *("name", "alias", "tag", "path", "reference", "content", "member", "entry", "bytes", "part"),
    *("run", "group", "job", "label"),
)
"""The inputs that are stored so that whoever has the files can read them."""
SEALED: Final = (
    *("e-mail", "letter", "seen", "delay", "matter", "release", "comment"),
    *("description", "key", "value", "removal", "config", "notes", "summary", "history"),
)
"""The inputs that are stored encrypted."""
UNSTORED: Final = ("error", "file")
"""The inputs of which nothing is ever stored: what an error names, and where a file lay that was logged."""

Opening: TypeAlias = Callable[[Path, str, bool], Store]
"""Opens the store in a folder as somebody, for erasing again or not."""


@frozen
class Planted:
    """What was planted: each word in its input."""

    words: dict[str, str]

    @classmethod
    def fresh(cls) -> Planted:
        """Return a word for every input that there is, none of which was ever used before."""
        return cls({each: f"planted-canary-{each}-{token_hex(12)}" for each in (*PLAIN, *SEALED, *UNSTORED)})

    def __getitem__(self, which: str) -> str:
        return self.words[which]

    @property
    def all(self) -> list[str]:
        """Every word."""
        return list(self.words.values())


@define
class Beside:
    """What goes on beside the erasure: another program that has the ledger open, and one that reads from the cache."""

    store: Store
    reader: BinaryIO | None = None

    def close(self) -> None:
        """End it."""
        if self.reader is not None:
            self.reader.close()
        self.store.ledger.close()


# --- planting --------------------------------------------------------------------------------------------------------


def plant(store: Store, second: Store, folder: Path, said: Planted) -> str:
    """Bring every word into a store, each by its own input; return the id of the request to erase them."""
    subject = data_subjects.register(store, f"{said['e-mail']}@example.org").subject_id
    project = project_of(store)
    run = _run(store, project, said)
    whole = _whole(store, project, run, folder, said)
    _end_run(store, run, said)
    others = [file_of(f"others/{number}.txt", f"about somebody else, {number}".encode()) for number in range(20)]
    shared = log_files(store, project, [*others, file_of(said["entry"], said["bytes"].encode())], name="cohort")
    trained = runs.start(store, project, runs.RunDraft("train", "train"))
    runs.use(store, shared.version_id, RunId(trained.run_id))
    log_files(store, project, [file_of("weights.bin", b"weights")], name="model", run=trained, type_="model")
    data_subjects.attach(store, subject, TargetKind.ARTIFACT, whole.artifact_id)
    data_subjects.attach(store, subject, TargetKind.RUN, run.run_id)
    data_subjects.attach_entries(store, subject, shared.version_id, [said["entry"]])
    with suppress(NotFoundError):
        data_subjects.attach_entries(store, subject, shared.version_id, [said["error"]])
    _hold(store, second, subject, said)
    return _request(store, subject, said)


def _whole(store: Store, project: ProjectRow, run: RunRow, folder: Path, said: Planted) -> Logged:
    """Log an artifact that is about the person as a whole, of a file of this machine too, and a version that goes."""
    local = folder / said["file"]
    local.write_text(said["content"])
    with Staging(store) as staging:
        staged = staging.add_files([(local, said["path"])])
        whole = log_files(
            store,
            project,
            [*staged, file_of("scans.zip", _zip(said["member"])), _link(said["reference"])],
            name=said["name"],
            aliases=(said["alias"],),
            tags=(said["tag"],),
            description=said["description"],
            metadata={said["key"]: [said["value"]]},
            run=run,
        )
    local.unlink()
    log_files(store, project, [file_of("later.txt", b"later")], name=said["name"])
    lifecycle.delete(
        store,
        catalog.find(store.views, address_of(store, f"{said['name']}:v1")),
        delete_aliases=True,
        reason=said["removal"],
    )
    return whole


def _run(store: Store, project: ProjectRow, said: Planted) -> RunRow:
    config = {"patient": said["config"]}
    draft = runs.RunDraft("collect", said["run"], said["job"], said["group"], (said["label"],), said["notes"], config)
    return runs.start(store, project, draft)


def _end_run(store: Store, run: RunRow, said: Planted) -> None:
    """End a run as one that failed, with what it said by then."""
    runs.log_rows(store, run, [{"seen": said["history"]}], 0)
    runs.finish(store, run, exit_code=1, summary={"error": said["summary"]})


def _hold(store: Store, second: Store, subject: str, said: Planted) -> None:
    """Hold what is about the person for a while, and release it with a comment."""
    held = holds.place(store, HoldKind.LITIGATION, ScopeKind.SUBJECT, subject, said["matter"])
    approvals.approve(second, approvals.propose(store, Act.RELEASE_HOLD, held.hold_id, said["comment"]))
    holds.release(store, held.hold_id, said["release"])


def _request(store: Store, subject: str, said: Planted) -> str:
    row = requests_.receive(store, Right.ERASURE, subject, text=said["letter"])
    requests_.identify(store, row.request_id, said["seen"])
    requests_.extend(store, row.request_id, row.due_at + DAY, said["delay"])
    return row.request_id


# --- what is left lying about ----------------------------------------------------------------------------------------


def leave(store: Store, said: Planted) -> BinaryIO:
    """Leave behind what programs leave: a part of a version, files that waited, pages, and a blob in the cache.

    What is returned reads from the cache still.
    """
    part = [file_of(said["part"], said["bytes"].encode())]
    drafts.keep_part(store, project_of(store), "unfinished", "several", part)
    waited = store.staging / "ended"
    waited.mkdir(parents=True)
    (waited / LOCK).touch()
    (waited / "0").write_text(said["content"])
    if (ledger := store.config.home / LEDGER).exists():
        _free(ledger, [said[each] for each in PLAIN])
    digest, cached = digest_of(said["content"].encode()), store.cache.around(store.own_blobs)
    with cached.open(digest) as fetched:
        fetched.read()
    return cached.open(digest)


def _free(path: Path, words: list[str]) -> None:
    """Leave words in pages that nothing uses any more, as SQLite does where it is not told to overwrite them."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA secure_delete = OFF")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("CREATE TABLE passing (word TEXT)")
        connection.executemany("INSERT INTO passing VALUES (?)", [(word * TIMES,) for word in words] * ROWS)
        connection.execute("COMMIT")
        connection.execute("DROP TABLE passing")
        connection.execute("PRAGMA wal_checkpoint")


# --- parts of it -----------------------------------------------------------------------------------------------------


def project_of(store: Store) -> ProjectRow:
    """Return the project that the settings name."""
    return directory.project(store.views, store.config.text("entity"), store.config.text("project"))


def second_admin(store: Store) -> None:
    """Let somebody else be an admin too."""
    directory.set_organisation_role(store, store.config.text("organisation"), SECOND, Role.ADMIN)


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


def digest_of(content: bytes) -> Digest:
    """Return what identifies a content."""
    return Digest(sha256(content).hexdigest())


def file_of(path: str, content: bytes) -> Staged:
    """Return a file to be logged."""
    digest = digest_of(content)
    return Staged(Entry(path, digest, len(content)), BlobSource(digest, len(content), content))


def _link(where: str) -> Staged:
    url = f"https://example.org/{where}"
    return Staged(Entry("link", url, None, url), None)


def _zip(word: str) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("member.txt", f"{word}\n" * 50)
    return held.getvalue()
