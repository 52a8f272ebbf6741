"""The memory of unchanged files: a small SQLite file in the cache folder, which may be deleted at any time.

Files lie packed, up to 1,024 neighbours of one folder in a row: looking up 20,000 files reads a few hundred rows. A
checksum guards each row, because a damaged one would give a file the digest of another content.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256
from operator import attrgetter
from pathlib import Path
from struct import Struct
from threading import Lock
from typing import Final, TypeAlias, TypeVar
from zlib import crc32

from attrs import define, field, frozen

from muniment.domain.ports import FileDigests, FileStat
from muniment.domain.values import Digest, Micros

T = TypeVar("T")
Look: TypeAlias = tuple[int, int, int, int]
"""Inode, size and both times: what must be the same."""

FILE_LIMIT: Final = 2_000_000
NEIGHBOURS: Final = 10
VERSION: Final = 1
SETTLED_NS: Final = 20_000_000
COARSE_NS: Final = 2_000_000_000
SECOND_NS: Final = 1_000_000_000
EARLIEST_NS: Final = -(2**63)
WAIT_SECONDS: Final = 5.0
KEPT: Final = (
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_PROTOCOL,
)
"""What SQLite says of a file that may be sound; whatever else it says, the file is made afresh."""

SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS packs (
    folder BLOB NOT NULL, part INTEGER NOT NULL, seen_at INTEGER NOT NULL, files INTEGER NOT NULL,
    sum INTEGER NOT NULL, pack BLOB NOT NULL, PRIMARY KEY (folder, part)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS packs_by_age ON packs (seen_at, files);
PRAGMA user_version = {VERSION};
COMMIT;
"""

_LOG = logging.getLogger(__name__)
_RECORD = Struct("<QQqq32s16s")  # inode, size, mtime, ctime, SHA-256, MD5 or zeros
_NO_MD5 = bytes(16)
_look: Callable[[FileStat], Look] = attrgetter("st_ino", "st_size", "st_mtime_ns", "st_ctime_ns")


@frozen(eq=False)
class _Line:
    """A connection, one for each process that memory came to by forking, and the lock for its threads."""

    lock: Lock = field(factory=Lock)
    connection: list[sqlite3.Connection] = field(factory=list)


@define(eq=False)
class SqliteFileMemory:
    """Digests in *file*, for several threads and processes at once; *limit* bounds how many files it knows."""

    file: Path
    limit: int = FILE_LIMIT
    _lines: dict[int, _Line] = field(init=False, factory=dict)

    def get_many(self, files: Mapping[str, FileStat]) -> dict[str, FileDigests]:
        return self._attempt(lambda connection: _get(connection, files), {})

    def put_many(self, files: Mapping[str, tuple[FileStat, FileDigests]], seen_at: Micros) -> None:
        settled = {path: each for path, each in files.items() if _settled(each[0], seen_at * 1000)}
        if settled:
            self._attempt(lambda connection: _put(connection, settled, seen_at, self.limit), None)

    def forget(self) -> None:
        self._attempt(lambda connection: connection.execute("DELETE FROM packs"), None)

    def close(self) -> None:
        """Let go of the file; the next use opens it again."""
        line = self._line()
        with line.lock:
            _disconnect(line)

    def _line(self) -> _Line:
        return self._lines.setdefault(os.getpid(), _Line())

    def _attempt(self, act: Callable[[sqlite3.Connection], T], nothing: T) -> T:
        """Act, a second time if the file was damaged and is made afresh; a memory that fails knows *nothing*."""
        line = self._line()
        with line.lock:
            for _ in range(2):
                try:
                    return act(self._connected(line))
                except (sqlite3.Error, OSError) as error:
                    _LOG.warning("the memory of unchanged files failed, so files are read again: %s", error)
                    _disconnect(line)
                    if not self._discarded(error):
                        break
        return nothing

    def _connected(self, line: _Line) -> sqlite3.Connection:
        if not line.connection:
            self.file.parent.mkdir(0o700, parents=True, exist_ok=True)
            self.file.touch(0o600)
            connection = sqlite3.connect(self.file, WAIT_SECONDS, isolation_level=None, check_same_thread=False)
            line.connection.append(connection)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA cache_size = -512")  # KiB
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version != VERSION:
                connection.executescript(f"DROP TABLE IF EXISTS packs; {SCHEMA}")
        return line.connection[0]

    def _discarded(self, error: Exception) -> bool:
        """Remove a damaged file; whether there was one."""
        if isinstance(error, OSError) or getattr(error, "sqlite_errorcode", 0) & 0xFF in KEPT:
            return False
        for suffix in ("", "-wal", "-shm"):
            Path(f"{self.file}{suffix}").unlink(missing_ok=True)
        return True


def _disconnect(line: _Line) -> None:
    while line.connection:
        line.connection.pop().close()


def _settled(stat: FileStat, seen_at: int) -> bool:
    """Whether a change after *seen_at* must show in the times of a file.

    Kernels advance file times by ticks of up to 10 ms, so a change within the tick of the last one leaves no trace;
    20 ms are two of the longest ticks. A time that is a whole second may come from a file system that counts in
    seconds, or in twos as FAT does: there only 2 s are enough. (Git's index follows the same rule.) Times before 1677,
    which some file systems know, are nothing to rely on: they fit into no record.
    """
    return all(
        EARLIEST_NS <= time <= seen_at - (SETTLED_NS if time % SECOND_NS else COARSE_NS)
        for time in (stat.st_mtime_ns, stat.st_ctime_ns)
    )


def _by_folder(files: Iterable[tuple[str, FileStat]]) -> dict[tuple[str, int], list[tuple[str, Look]]]:
    folders: dict[tuple[str, int], list[tuple[str, Look]]] = defaultdict(list)
    for path, stat in files:
        folders[path[: path.rfind("/")], stat.st_dev].append((path, _look(stat)))
    return folders


def _key(folder: str, device: int) -> bytes:
    return sha256(f"{device} {folder}".encode(errors="surrogateescape")).digest()[:16]


def _sum(folder: bytes, part: int, pack: bytes) -> int:
    return crc32(pack, crc32(folder + part.to_bytes(8, "big")))


def _pack(connection: sqlite3.Connection, folder: bytes, part: int) -> bytes:
    """Return the records of a part of a folder; none if they are damaged."""
    row = connection.execute(
        "SELECT CAST(sum AS INTEGER), CAST(pack AS BLOB) FROM packs WHERE folder = ? AND part = ?", (folder, part)
    ).fetchone()
    if row is None:
        return b""
    if row[0] != _sum(folder, part, row[1]) or len(row[1]) % _RECORD.size:
        _LOG.warning("the memory of unchanged files is damaged, so some files are read again")
        return b""
    return bytes(row[1])


def _get(connection: sqlite3.Connection, files: Mapping[str, FileStat]) -> dict[str, FileDigests]:
    found: dict[str, FileDigests] = {}
    for (folder, device), looks in _by_folder(files.items()).items():
        key, known = _key(folder, device), {}
        for part in {look[0] >> NEIGHBOURS for _, look in looks}:
            for inode, size, mtime, ctime, strong, weak in _RECORD.iter_unpack(_pack(connection, key, part)):
                known[inode, size, mtime, ctime] = (strong, weak)
        for path, look in looks:
            if look in known:
                strong, weak = known[look]
                found[path] = (Digest(strong.hex()), None if weak == _NO_MD5 else weak.hex())
    return found


def _put(
    connection: sqlite3.Connection,
    files: Mapping[str, tuple[FileStat, FileDigests]],
    seen_at: Micros,
    limit: int,
) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        for (folder, device), looks in _by_folder((path, each[0]) for path, each in files.items()).items():
            parts: dict[int, dict[int, bytes]] = defaultdict(dict)
            for path, look in looks:
                strong, weak = files[path][1]
                record = _RECORD.pack(*look, bytes.fromhex(strong), bytes.fromhex(weak) if weak else _NO_MD5)
                parts[look[0] >> NEIGHBOURS][look[0]] = record
            for part, records in parts.items():
                _merge(connection, _key(folder, device), part, records, seen_at)
        _prune(connection, limit)
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _merge(
    connection: sqlite3.Connection, folder: bytes, part: int, records: dict[int, bytes], seen_at: Micros
) -> None:
    old = _pack(connection, folder, part)
    cuts = (old[at : at + _RECORD.size] for at in range(0, len(old), _RECORD.size))
    merged = {int.from_bytes(record[:8], "little"): record for record in cuts} | records
    pack = b"".join(merged.values())
    row = (folder, part, seen_at, len(merged), _sum(folder, part, pack), pack)
    connection.execute("INSERT OR REPLACE INTO packs VALUES (?, ?, ?, ?, ?, ?)", row)


def _prune(connection: sqlite3.Connection, limit: int) -> None:
    """Forget what was seen longest ago until no more than *limit* files are known."""
    (surplus,) = connection.execute("SELECT coalesce(sum(files), 0) - ? FROM packs", (limit,)).fetchone()
    if surplus > 0:
        for folder, part, files in connection.execute(
            "SELECT folder, part, files FROM packs ORDER BY seen_at"
        ).fetchall():
            connection.execute("DELETE FROM packs WHERE folder = ? AND part = ?", (folder, part))
            surplus -= files
            if surplus <= 0:
                break
