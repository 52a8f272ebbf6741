"""The vault in PostgreSQL: values and directory there, the keys that open them in a file beside the master key."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import psycopg
from attrs import define, field

from muniment.adapters import key_file
from muniment.adapters.postgres import (
    Address,
    Connection,
    Cursor,
    check_server,
    expires,
    has_schema,
    in_our_words,
    is_gone,
    may_go_better,
    one_at_a_time,
)
from muniment.adapters.vault.database import Opened, connect, empty_wal, locked, storage_errors, writing
from muniment.adapters.vault.keys import MasterKey
from muniment.adapters.vault.sealing import Place, seal, unseal
from muniment.adapters.vault.sqlite import DESTROYED, DESTROYED_IDS, KEYS, KEYS_SCHEMA, PAGE, Files, bind, meta
from muniment.adapters.vault.unsealed import Unsealed, prepare, read_value, system_clock
from muniment.domain.errors import KeyFileError, StorageError
from muniment.domain.ports import SlotDraft
from muniment.domain.values import Json, Micros, Personal, SlotId

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

T = TypeVar("T")
SCHEMA: Final = "muniment_vault"
WHAT: Final = "the vault in PostgreSQL"
FORMAT: Final = b"1"
_TEXT: Final = 'text COLLATE "C"'
TABLES: Final = (
    f"CREATE TABLE vault_meta (name {_TEXT} PRIMARY KEY, value bytea NOT NULL)",
    f"""CREATE TABLE slots (n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, slot {_TEXT} NOT NULL UNIQUE,
        owner {_TEXT} NOT NULL, field bytea NOT NULL, nonce bytea NOT NULL, sealed bytea NOT NULL,
        written_at bigint NOT NULL)""",
    "CREATE INDEX slots_by_owner ON slots (owner)",
    f"CREATE TABLE directory (term bytea PRIMARY KEY, id {_TEXT} NOT NULL)",
    "CREATE INDEX directory_by_id ON directory (id)",
)
_MARKS: Final = "SELECT id FROM directory WHERE id >= %s AND id < %s"
_INSERT: Final = (
    "INSERT INTO slots (slot, owner, field, nonce, sealed, written_at) SELECT * FROM "
    "unnest(%s::text[], %s::text[], %s::bytea[], %s::bytea[], %s::bytea[], %s::bigint[]) ON CONFLICT (slot) DO NOTHING"
)


@define(eq=False)
class PostgresVault:
    """Personal values in one schema, their keys in ``keys.sqlite3`` beside the key file of those.

    Whoever writes holds the lock of the schema first and that of the keys second, so a key is never destroyed between
    being read and being used. What a lost connection interrupted is done again: slots are written once, so that
    doing it twice is doing it once.
    """

    address: Address
    key_file: Path
    origin: str
    clock: Callable[[], Micros] = system_clock
    _opened: Opened[Files[Connection]] = field(init=False, repr=False)
    _known: bool = False
    _adopting: bool = field(default=False, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._opened = Opened(self._open)

    @classmethod
    def at(cls, url: str, key_file: Path, origin: str, *, clock: Callable[[], Micros] = system_clock) -> PostgresVault:
        """Return the vault at this URL of the ledger with this origin id; a new one is made at first use."""
        return cls(Address.parse(url, SCHEMA), key_file, origin, clock)

    def put_many(self, drafts: Sequence[SlotDraft]) -> list[Personal[Any]]:
        values = prepare(drafts)

        def put(files: Files[Connection]) -> None:
            with self._writing(files) as cursor:
                owners = {value.owner for value in values}
                ciphers = files.data_keys(owners)
                ciphers |= files.create_data_keys(sorted(owners - ciphers.keys()))
                rows = self._rows(values, ciphers)
                cursor.execute(_INSERT, [list(column) for column in zip(*rows, strict=True)])

        if values:
            self._use(put)
        return [value.personal() for value in values]

    def get_many(self, slots: Collection[SlotId]) -> dict[SlotId, Json]:
        wanted = list(slots)
        found: dict[SlotId, Json] = {}
        for start in range(0, len(wanted), PAGE):
            found |= self._use(lambda files, page=wanted[start : start + PAGE]: self._read(files, page))  # type: ignore[misc]
        return found

    def _read(self, files: Files[Connection], slots: list[SlotId]) -> dict[SlotId, Json]:
        rows = files.vault.execute(
            "SELECT slot, owner, field, nonce, sealed FROM slots WHERE slot = ANY(%s::text[]) ORDER BY n", (slots,)
        ).fetchall()
        ciphers = files.data_keys({owner for _, owner, _, _, _ in rows})
        found: dict[SlotId, Json] = {}
        for slot, owner, name, nonce, sealed in rows:
            if owner in ciphers:
                _, content = unseal(ciphers[owner], Place(self.origin, slot, owner, name.decode()), nonce, sealed)
                found[slot] = read_value(content)
        return found

    def find(self, kind: str, value: str) -> str | None:
        return self._use(lambda files: _directory(files.vault, files.master.term(kind, value)))

    def remember(self, kind: str, value: str, owner: str) -> str:
        def remember(files: Files[Connection]) -> str:
            term = files.master.term(kind, value)
            known = _directory(files.vault, term)
            if known is not None:
                return known
            with self._writing(files) as cursor:
                cursor.execute("INSERT INTO directory VALUES (%s, %s) ON CONFLICT (term) DO NOTHING", (term, owner))
                return _directory(cursor, term) or owner

        return self._use(remember)

    def find_many(self, kind: str, values: Collection[str]) -> dict[str, str]:
        def find(files: Files[Connection]) -> dict[str, str]:
            terms = {files.master.term(kind, value): value for value in values}
            rows = files.vault.execute("SELECT term, id FROM directory WHERE term = ANY(%s)", (list(terms),)).fetchall()
            return {terms[bytes(term)]: id_ for term, id_ in rows}

        return self._use(find) if values else {}

    def remember_many(self, kind: str, values: Collection[str], owner: str) -> None:
        def remember(files: Files[Connection]) -> None:
            terms = [files.master.term(kind, value) for value in values]
            with self._writing(files) as cursor:
                cursor.execute(
                    "INSERT INTO directory SELECT term, %s FROM unnest(%s::bytea[]) AS term ON CONFLICT DO NOTHING",
                    (owner, terms),
                )

        self._use(remember)

    def keyed(self, kind: str, value: str) -> str:
        return self._use(lambda files: files.master.term(kind, value).hex())

    def destroy(self, owner: str) -> int:
        counts = [0]

        def destroy(files: Files[Connection]) -> None:
            with self._writing(files) as cursor:
                for term in files.fingerprint(owner):
                    cursor.execute(
                        "INSERT INTO directory VALUES (%s, %s) ON CONFLICT (term) DO NOTHING", (term, DESTROYED + owner)
                    )
            with self._writing(files) as cursor:
                with writing(files.keys):
                    files.keys.execute("DELETE FROM data_keys WHERE owner = ?", (owner,))
                counts.append(cursor.execute("DELETE FROM slots WHERE owner = %s", (owner,)).rowcount)
                cursor.execute("DELETE FROM directory WHERE id = %s", (owner,))
            empty_wal(files.keys, KEYS)

        self._use(destroy)
        return max(counts)  # a second try finds nothing to count

    def destroyed(self) -> set[str]:
        marks = self._use(lambda files: files.vault.execute(_MARKS, DESTROYED_IDS).fetchall())
        return {mark.removeprefix(DESTROYED) for (mark,) in marks}

    def destroy_slots(self, slots: Collection[SlotId]) -> int:
        counts = [0]

        def destroy(files: Files[Connection]) -> None:
            with self._writing(files) as cursor:
                counts.append(cursor.execute("DELETE FROM slots WHERE slot = ANY(%s::text[])", (list(slots),)).rowcount)

        self._use(destroy)
        return max(counts)  # a second try finds nothing to count

    def sweep(self, referenced: Callable[[Collection[SlotId]], set[SlotId]], older_than: Micros) -> int:
        count = 0
        for page in self._written_before(older_than):
            dead = sorted(set(page) - referenced(page))
            counts = [0]

            def remove(files: Files[Connection], dead: list[SlotId] = dead, counts: list[int] = counts) -> None:
                with self._writing(files) as cursor:
                    cursor.execute("DELETE FROM slots WHERE slot = ANY(%s::text[])", (dead,))
                    counts.append(cursor.rowcount)

            if dead:
                self._use(remove)
            count += max(counts)
        return count

    # --- carrying it elsewhere ---------------------------------------------------------------------------------------

    def is_unused(self) -> bool:
        """Whether there is nothing in it yet; asked of a vault that is about to be filled from another one."""
        self._adopting = True
        used = "SELECT 1 FROM slots UNION ALL SELECT 1 FROM directory LIMIT 1"
        return not self._use(lambda files: files.vault.execute(used).fetchall())

    def slots(self) -> Iterator[tuple[Any, ...]]:
        """Yield the slots as they are stored, in the order in which they were written."""
        last = 0
        while rows := self._page("SELECT * FROM slots WHERE n > %s ORDER BY n LIMIT %s", last):
            yield from ((slot, owner, name.decode(), *sealed) for _, slot, owner, name, *sealed in rows)
            last = rows[-1][0]

    def terms(self) -> Iterator[tuple[Any, ...]]:
        """Yield the directory as it is stored."""
        last = b""
        while rows := self._page("SELECT term, id FROM directory WHERE term > %s ORDER BY term LIMIT %s", last):
            yield from rows
            last = rows[-1][0]

    def _page(self, statement: str, last: int | bytes) -> list[tuple[Any, ...]]:
        return self._use(lambda files: files.vault.execute(statement.encode(), (last, PAGE)).fetchall())

    def data_keys(self) -> list[tuple[str, bytes]]:
        """Return the wrapped keys of all owners."""
        return self._use(lambda files: files.keys.execute("SELECT owner, wrapped FROM data_keys").fetchall())

    def adopt(
        self,
        slots: Callable[[], Iterator[tuple[Any, ...]]],
        terms: Callable[[], Iterator[tuple[Any, ...]]],
        data_keys: Sequence[tuple[str, bytes]],
    ) -> None:
        """Take over, being empty, what another vault under the same master key holds; all of it or nothing."""
        self._adopting = True

        def adopt(files: Files[Connection]) -> None:
            files.adopt_keys(data_keys)
            with self._writing(files) as cursor:
                cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
                if cursor.execute("SELECT 1 FROM slots LIMIT 1").fetchall():
                    return  # the transaction that was lost was committed
                with cursor.copy("COPY slots (slot, owner, field, nonce, sealed, written_at) FROM STDIN") as copy:
                    for slot, owner, name, *sealed in slots():
                        copy.write_row((slot, owner, name.encode(), *sealed))
                with cursor.copy("COPY directory (term, id) FROM STDIN") as copy:
                    for row in terms():
                        copy.write_row(row)

        self._use(adopt)

    def close(self) -> None:
        """Let go of connection and file; the next use opens them again."""
        self._opened.close()

    def _use(self, act: Callable[[Files[Connection]], T]) -> T:
        again = expires()
        while True:
            connection = None
            try:
                with storage_errors("the vault"), self._opened.use() as files:
                    connection = files.vault
                    return act(files)
            except psycopg.Error as error:
                lost = is_gone(error, connection)
                if lost:
                    self._opened.close()
                if not ((lost and self._known) or may_go_better(error)) or not again():
                    raise in_our_words(WHAT, error) from error

    def _writing(self, files: Files[Connection]) -> Any:  # noqa: ANN401 (a context manager)
        return one_at_a_time(files.vault, self.address.schema)

    def _rows(self, values: Iterable[Unsealed], ciphers: dict[str, AESGCM]) -> Iterator[tuple[str | bytes | int, ...]]:
        now = self.clock()
        for value in values:
            nonce, sealed = seal(ciphers[value.owner], self.origin, value)
            yield value.slot, value.owner, value.field.encode(), nonce, sealed, now

    def _written_before(self, moment: Micros) -> Iterator[list[SlotId]]:
        statement = "SELECT n, slot FROM slots WHERE n > %s AND written_at < %s ORDER BY n LIMIT %s"
        last = 0
        while True:
            rows = self._use(
                lambda files, after=last: files.vault.execute(statement, (after, moment, PAGE)).fetchall()  # type: ignore[misc]
            )
            if not rows:
                return
            last = rows[-1][0]
            yield [slot for _, slot in rows]

    def _open(self) -> Files[Connection]:
        folder = self.key_file.parent
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked(folder / "vault.lock"), ExitStack() as stack:
            with storage_errors(KEYS):
                keys = stack.enter_context(closing(connect(folder / KEYS, KEYS_SCHEMA)))
            connect_now = self.address.connect if self._known else self.address.connect_first
            vault = stack.enter_context(closing(connect_now()))
            check_server(vault)
            with one_at_a_time(vault, self.address.schema) as cursor:
                bound = _make_once(cursor, self.address.schema)
                files = Files(vault, keys, self._master_key(keys, bound))
                if not bound:
                    rows = [("format", FORMAT), ("check", files.master.check()), ("origin", self.origin.encode())]
                    for row in rows:
                        cursor.execute("INSERT INTO vault_meta VALUES (%s, %s)", row)
                marks = cursor.execute(_MARKS, DESTROYED_IDS).fetchall()
                files.destroy_again((mark for (mark,) in marks), lambda term: _directory(cursor, term) is not None)
            self._known = True
            stack.pop_all()
            return files

    def _master_key(self, keys: sqlite3.Connection, bound: dict[str, bytes]) -> MasterKey:
        """Return the master key, after making sure that key file, keys, vault and ledger belong together."""
        if bound and bound.get("format") != FORMAT:
            msg = f"{WHAT} has another format than this Muniment reads — use a newer Muniment"
            raise StorageError(msg)
        if bound and bound.get("origin") != self.origin.encode():
            msg = f"{WHAT} belongs to another ledger — name another schema with ?schema=…, or the right ledger"
            raise KeyFileError(msg)
        known = meta(keys)
        if known is None:
            return self._new_master_key(keys, bound)
        master = MasterKey.load(self.key_file, self.origin)
        if known.get("origin") != self.origin.encode() or known.get("check") != master.check():
            msg = f"key file {self.key_file} and {KEYS} are not those of this ledger — put back what belongs together"
            raise KeyFileError(msg)
        if bound and bound.get("check") != master.check():
            msg = f"{WHAT} and {KEYS} are not of one store — put back the {KEYS} that belongs to it"
            raise KeyFileError(msg)
        if not bound and not self._adopting and keys.execute("SELECT 1 FROM data_keys LIMIT 1").fetchone():
            msg = (
                f"{WHAT} is empty, but {KEYS} holds keys — restore it, or bring it over with `muniment migrate --vault`"
            )
            raise StorageError(msg)
        return master

    def _new_master_key(self, keys: sqlite3.Connection, bound: dict[str, bytes]) -> MasterKey:
        if bound:
            msg = (
                f"{KEYS} is missing beside {self.key_file}, but {WHAT} needs it — put it back from its backup, "
                "or let MUNIMENT_KEY_FILE name the folder that all machines share"
            )
            raise KeyFileError(msg)
        maker = MasterKey.load if key_file.exists(self.key_file) else MasterKey.create
        master = maker(self.key_file, self.origin)
        bind(keys, master)
        return master


def _make_once(cursor: Cursor, schema: str) -> dict[str, bytes]:
    """Make the tables if they are not there; return what the vault is bound to, nothing if it is new."""
    if cursor.execute("SELECT to_regclass('vault_meta')").fetchall() == [(None,)]:
        if not has_schema(cursor, schema):
            cursor.execute(f'CREATE SCHEMA "{schema}"'.encode())
        cursor.execute("; ".join(TABLES).encode())
    return dict(cursor.execute("SELECT name, value FROM vault_meta").fetchall())


def _directory(cursor: Cursor | Connection, term: bytes) -> str | None:
    rows = cursor.execute("SELECT id FROM directory WHERE term = %s", (term,)).fetchall()
    return rows[0][0] if rows else None
