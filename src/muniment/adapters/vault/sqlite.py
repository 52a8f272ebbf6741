"""The vault in two SQLite files: values in one, the keys that open them in the other."""

from __future__ import annotations

import json
import logging
import os
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from attrs import define, field

from muniment.adapters import key_file
from muniment.adapters.vault.database import Closable, Opened, connect, empty_wal, locked, storage_errors, writing
from muniment.adapters.vault.keys import MasterKey
from muniment.adapters.vault.sealing import KEY_BYTES, Place, seal, unseal
from muniment.adapters.vault.unsealed import Unsealed, prepare, read_value, system_clock
from muniment.domain.errors import CorruptError, KeyFileError, StorageError
from muniment.domain.ports import SlotDraft
from muniment.domain.values import Json, Micros, Personal, SlotId

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

C = TypeVar("C", bound=Closable)

_LOG = logging.getLogger(__name__)

VAULT: Final = "vault.sqlite3"
KEYS: Final = "keys.sqlite3"
PAGE: Final = 500
DESTROYED: Final = "destroyed:"
DESTROYED_IDS: Final = (DESTROYED, "destroyed;")
"""Where in the directory, by id, the keys are that were destroyed."""
_CACHED_KEYS: Final = 4096

_META: Final = "CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID"
_VAULT_SCHEMA: Final = (
    _META,
    """CREATE TABLE slots (n INTEGER PRIMARY KEY, slot TEXT NOT NULL UNIQUE, owner TEXT NOT NULL, field TEXT NOT NULL,
       nonce BLOB NOT NULL, sealed BLOB NOT NULL, written_at INTEGER NOT NULL)""",
    "CREATE INDEX slots_by_owner ON slots (owner)",
    "CREATE TABLE directory (term BLOB PRIMARY KEY, id TEXT NOT NULL) WITHOUT ROWID",
    "CREATE INDEX directory_by_id ON directory (id)",
)
KEYS_SCHEMA: Final = (
    _META,
    "CREATE TABLE data_keys (owner TEXT PRIMARY KEY, wrapped BLOB NOT NULL) WITHOUT ROWID",
)
_INSERT_SLOT: Final = "INSERT INTO slots (slot, owner, field, nonce, sealed, written_at) VALUES (?, ?, ?, ?, ?, ?)"
_SLOTS: Final = (
    "SELECT slot, owner, field, nonce, sealed FROM slots WHERE slot IN (SELECT value FROM json_each(?)) ORDER BY n"
)
_DATA_KEYS: Final = "SELECT owner, wrapped FROM data_keys WHERE owner IN (SELECT value FROM json_each(?))"
_IDS: Final = "SELECT term, id FROM directory WHERE term IN ({})"
_MARKS: Final = "SELECT id FROM directory WHERE id >= ? AND id < ?"
_FOREIGN: Final = f"{VAULT} and {KEYS} are not of one store — put back the {KEYS} that belongs to this {VAULT}"


@define(eq=False)
class Files(Generic[C]):
    """The open vault, its keys, and the ciphers that were unwrapped."""

    vault: C
    keys: sqlite3.Connection
    master: MasterKey
    ciphers: dict[bytes, AESGCM] = field(factory=dict)

    def close(self) -> None:
        self.vault.close()
        self.keys.close()

    def cipher(self, owner: str, wrapped: bytes) -> AESGCM:
        """Return an owner's cipher; what is kept in memory counts only while the same wrapped key is on disk."""
        known = self.ciphers.get(wrapped)
        if known is None:
            if len(self.ciphers) >= _CACHED_KEYS:
                self.ciphers.clear()
            known = self.ciphers[wrapped] = self.master.unwrap(owner, wrapped)
        return known

    def data_keys(self, owners: Collection[str]) -> dict[str, AESGCM]:
        """Return the ciphers of those owners whose key exists."""
        rows = self.keys.execute(_DATA_KEYS, (json.dumps(list(owners)),)).fetchall()
        return {owner: self.cipher(owner, wrapped) for owner, wrapped in rows}

    def create_data_keys(self, owners: Iterable[str]) -> dict[str, AESGCM]:
        """Make keys for owners without one; whoever calls holds the write lock of the vault."""
        wrapped = [(owner, self.master.wrap(owner, os.urandom(KEY_BYTES))) for owner in owners]
        if wrapped:
            with writing(self.keys):
                self.keys.executemany("INSERT INTO data_keys (owner, wrapped) VALUES (?, ?)", wrapped)
        return {owner: self.cipher(owner, sealed) for owner, sealed in wrapped}

    def fingerprint(self, owner: str) -> list[bytes]:
        """Return what an owner's key is recognised by, nothing if there is none or if it is damaged."""
        rows = self.keys.execute(_DATA_KEYS, (json.dumps([owner]),)).fetchall()
        with suppress(CorruptError):
            return [self.master.fingerprint(owner, wrapped) for _, wrapped in rows]
        return []

    def destroy_again(self, marks: Iterable[str], known: Callable[[bytes], bool]) -> None:
        """Destroy the keys that were destroyed and have come back with an old file; *marks* name their owners."""
        for mark in sorted(set(marks)):
            owner = mark.removeprefix(DESTROYED)
            if any(map(known, self.fingerprint(owner))):
                with writing(self.keys):
                    self.keys.execute("DELETE FROM data_keys WHERE owner = ?", (owner,))
                empty_wal(self.keys, KEYS)
                _LOG.warning("a key that was destroyed came back with an old %s, and was destroyed again", KEYS)

    def adopt_keys(self, wrapped: Sequence[tuple[str, bytes]]) -> None:
        """Keep the keys of another vault under the same master key; CorruptError if they are not."""
        for owner, sealed in wrapped:
            self.master.unwrap(owner, sealed)
        with writing(self.keys):
            self.keys.executemany("INSERT OR IGNORE INTO data_keys (owner, wrapped) VALUES (?, ?)", wrapped)


@define(eq=False)
class SqliteVault:
    """Personal values in ``vault.sqlite3``, their keys in ``keys.sqlite3``, the key of those in a file of its own.

    Files are opened at first use. Whoever writes holds the write lock of the vault first and that of the keys
    second, so a key is never destroyed between being read and being used.
    """

    folder: Path
    key_file: Path
    origin: str
    clock: Callable[[], Micros] = system_clock
    _adopting: bool = field(default=False, init=False, repr=False)
    _files: Opened[Files[sqlite3.Connection]] = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._files = Opened(self._open)

    @classmethod
    def at(
        cls, folder: Path, key_file: Path, origin: str, *, clock: Callable[[], Micros] = system_clock
    ) -> SqliteVault:
        """Return the vault in *folder* of the ledger with this origin id; a new one is made at first use."""
        return cls(folder, key_file, origin, clock)

    def put_many(self, drafts: Sequence[SlotDraft]) -> list[Personal[Any]]:
        values = prepare(drafts)
        if values:
            with self._use() as files, writing(files.vault):
                owners = {value.owner for value in values}
                ciphers = files.data_keys(owners)
                ciphers |= files.create_data_keys(sorted(owners - ciphers.keys()))
                files.vault.executemany(_INSERT_SLOT, self._rows(values, ciphers))
        return [value.personal() for value in values]

    def get_many(self, slots: Collection[SlotId]) -> dict[SlotId, Json]:
        wanted = list(slots)
        found: dict[SlotId, Json] = {}
        for start in range(0, len(wanted), PAGE):
            with self._use() as files:
                rows = files.vault.execute(_SLOTS, (json.dumps(wanted[start : start + PAGE]),)).fetchall()
                ciphers = files.data_keys({owner for _, owner, _, _, _ in rows})
            for slot, owner, name, nonce, sealed in rows:
                if owner in ciphers:
                    _, content = unseal(ciphers[owner], Place(self.origin, slot, owner, name), nonce, sealed)
                    found[slot] = read_value(content)
        return found

    def find(self, kind: str, value: str) -> str | None:
        with self._use() as files:
            return _directory(files, files.master.term(kind, value))

    def remember(self, kind: str, value: str, owner: str) -> str:
        with self._use() as files:
            term = files.master.term(kind, value)
            known = _directory(files, term)
            if known is not None:
                return known
            with writing(files.vault):
                files.vault.execute("INSERT OR IGNORE INTO directory (term, id) VALUES (?, ?)", (term, owner))
                return _directory(files, term) or owner

    def find_many(self, kind: str, values: Collection[str]) -> dict[str, str]:
        found: dict[str, str] = {}
        wanted = list(values)
        for start in range(0, len(wanted), PAGE):
            with self._use() as files:
                terms = {files.master.term(kind, value): value for value in wanted[start : start + PAGE]}
                rows = files.vault.execute(_IDS.format(",".join("?" * len(terms))), tuple(terms)).fetchall()
            found |= {terms[term]: id_ for term, id_ in rows}
        return found

    def remember_many(self, kind: str, values: Collection[str], owner: str) -> None:
        with self._use() as files:
            terms = [(files.master.term(kind, value), owner) for value in values]
            with writing(files.vault):
                files.vault.executemany("INSERT OR IGNORE INTO directory (term, id) VALUES (?, ?)", terms)

    def keyed(self, kind: str, value: str) -> str:
        with self._use() as files:
            return files.master.term(kind, value).hex()

    def destroy(self, owner: str) -> int:
        with self._use() as files:
            with writing(files.vault):
                marks = [(term, DESTROYED + owner) for term in files.fingerprint(owner)]
                files.vault.executemany("INSERT OR IGNORE INTO directory (term, id) VALUES (?, ?)", marks)
            with writing(files.vault):
                with writing(files.keys):
                    files.keys.execute("DELETE FROM data_keys WHERE owner = ?", (owner,))
                count = files.vault.execute("DELETE FROM slots WHERE owner = ?", (owner,)).rowcount
                files.vault.execute("DELETE FROM directory WHERE id = ?", (owner,))
            empty_wal(files.keys, KEYS)
            empty_wal(files.vault, VAULT)
        return count

    def destroyed(self) -> set[str]:
        with self._use() as files:
            return {mark.removeprefix(DESTROYED) for (mark,) in files.vault.execute(_MARKS, DESTROYED_IDS)}

    def destroy_slots(self, slots: Collection[SlotId]) -> int:
        count = 0
        with self._use() as files:
            with writing(files.vault):
                for slot in slots:
                    count += files.vault.execute("DELETE FROM slots WHERE slot = ?", (slot,)).rowcount
            empty_wal(files.vault, VAULT)
        return count

    def sweep(self, referenced: Callable[[Collection[SlotId]], set[SlotId]], older_than: Micros) -> int:
        count = 0
        for page in self._written_before(older_than):
            kept = referenced(page)
            dead = [(slot,) for slot in page if slot not in kept]
            with self._use() as files, writing(files.vault):
                count += files.vault.executemany("DELETE FROM slots WHERE slot = ?", dead).rowcount if dead else 0
        if count:
            with self._use() as files:
                empty_wal(files.vault, VAULT)
        return count

    # --- carrying it elsewhere ---------------------------------------------------------------------------------------

    def is_unused(self) -> bool:
        """Whether there is nothing in it yet; asked of a vault that is about to be filled from another one."""
        self._adopting = True
        with self._use() as files:
            return not files.vault.execute("SELECT 1 FROM slots UNION ALL SELECT 1 FROM directory LIMIT 1").fetchall()

    def slots(self) -> Iterator[tuple[Any, ...]]:
        """Yield the slots as they are stored, in the order in which they were written."""
        last = 0
        while rows := self._page("SELECT n, * FROM slots WHERE n > ? ORDER BY n LIMIT ?", last):
            yield from (row[2:] for row in rows)
            last = rows[-1][0]

    def terms(self) -> Iterator[tuple[Any, ...]]:
        """Yield the directory as it is stored."""
        last = b""
        while rows := self._page("SELECT term, id FROM directory WHERE term > ? ORDER BY term LIMIT ?", last):
            yield from rows
            last = rows[-1][0]

    def _page(self, statement: str, last: int | bytes) -> list[tuple[Any, ...]]:
        with self._use() as files:
            return files.vault.execute(statement, (last, PAGE)).fetchall()

    def data_keys(self) -> list[tuple[str, bytes]]:
        """Return the wrapped keys of all owners."""
        with self._use() as files:
            return files.keys.execute("SELECT owner, wrapped FROM data_keys").fetchall()

    def adopt(
        self,
        slots: Callable[[], Iterator[tuple[Any, ...]]],
        terms: Callable[[], Iterator[tuple[Any, ...]]],
        data_keys: Sequence[tuple[str, bytes]],
    ) -> None:
        """Take over, being empty, what another vault under the same master key holds; all of it or nothing."""
        self._adopting = True
        with self._use() as files:
            files.adopt_keys(data_keys)
            with writing(files.vault):
                files.vault.executemany(_INSERT_SLOT, slots())
                files.vault.executemany("INSERT INTO directory (term, id) VALUES (?, ?)", terms())

    def close(self) -> None:
        """Let go of the files; the next use opens them again."""
        with storage_errors("the vault"):
            self._files.close()

    @contextmanager
    def _use(self) -> Iterator[Files[sqlite3.Connection]]:
        with storage_errors("the vault"), self._files.use() as files:
            yield files

    def _rows(self, values: Iterable[Unsealed], ciphers: dict[str, AESGCM]) -> Iterator[tuple[str | bytes | int, ...]]:
        now = self.clock()
        for value in values:
            nonce, sealed = seal(ciphers[value.owner], self.origin, value)
            yield value.slot, value.owner, value.field, nonce, sealed, now

    def _written_before(self, moment: Micros) -> Iterator[list[SlotId]]:
        last = 0
        while True:
            with self._use() as files:
                rows = files.vault.execute(
                    "SELECT n, slot FROM slots WHERE n > ? AND written_at < ? ORDER BY n LIMIT ?", (last, moment, PAGE)
                ).fetchall()
            if not rows:
                return
            last = rows[-1][0]
            yield [slot for _, slot in rows]

    def _open(self) -> Files[sqlite3.Connection]:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked(self.folder / "vault.lock"), ExitStack() as stack:
            with storage_errors(KEYS):
                keys = stack.enter_context(closing(connect(self.folder / KEYS, KEYS_SCHEMA)))
            with storage_errors(VAULT):
                vault = stack.enter_context(closing(connect(self.folder / VAULT, _VAULT_SCHEMA)))
            files = Files(vault, keys, self._master_key(keys, vault))
            marks = vault.execute(_MARKS, DESTROYED_IDS).fetchall()
            files.destroy_again((mark for (mark,) in marks), lambda term: _directory(files, term) is not None)
            stack.pop_all()
            return files

    def _master_key(self, keys: sqlite3.Connection, vault: sqlite3.Connection) -> MasterKey:
        """Return the master key, after making sure that key file, keys, vault and ledger belong together."""
        known, bound = meta(keys), meta(vault)
        if known is None:
            if bound is not None:
                msg = f"{KEYS} is missing or empty, but {VAULT} needs it — put it back from its backup"
                raise KeyFileError(msg)
            maker = MasterKey.load if key_file.exists(self.key_file) else MasterKey.create
            master = maker(self.key_file, self.origin)
            bind(keys, master)
        else:
            master = self._known_master_key(known)
        if bound is None:
            if not self._adopting and keys.execute("SELECT 1 FROM data_keys LIMIT 1").fetchone():
                msg = f"{VAULT} is missing or empty, but {KEYS} holds its keys — put it back from its backup"
                raise StorageError(msg)
            bind(vault, master)
        elif bound.get("check") != master.check():
            raise KeyFileError(_FOREIGN)
        return master

    def _known_master_key(self, known: dict[str, bytes]) -> MasterKey:
        if known.get("origin") != self.origin.encode():
            msg = f"{KEYS} belongs to another ledger — put back the files that belong together"
            raise KeyFileError(msg)
        master = MasterKey.load(self.key_file, self.origin)
        if known.get("check") != master.check():
            msg = f"key file {self.key_file} belongs to another store — name the one that was made with {KEYS}"
            raise KeyFileError(msg)
        return master


def meta(connection: sqlite3.Connection) -> dict[str, bytes] | None:
    """Return what a file is bound to, ``None`` if it is new."""
    return dict(connection.execute("SELECT name, value FROM meta").fetchall()) or None


def bind(connection: sqlite3.Connection, master: MasterKey) -> None:
    """Note to which master key and ledger a new file belongs."""
    with writing(connection):
        rows = [("check", master.check()), ("origin", master.origin.encode())]
        connection.executemany("INSERT INTO meta (name, value) VALUES (?, ?)", rows)


def _directory(files: Files[sqlite3.Connection], term: bytes) -> str | None:
    row = files.vault.execute("SELECT id FROM directory WHERE term = ?", (term,)).fetchone()
    return row[0] if row else None
