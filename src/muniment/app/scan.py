"""Looks for planted words, canaries, in whatever is stored, byte by byte; it knows nothing of who wrote it.

It stands alone: ``python scan.py --canary TEXT PATH…`` needs this file only, boto3 for ``s3://bucket/prefix`` and
zstandard for what it compressed. A word is looked for in UTF-8, UTF-16, base64, hexadecimal digits, the escapes
of URLs, JSON and HTML, in what zlib, gzip, bzip2, xz, zstd and zip compressed, cut by the edge of a page of SQLite or
of PostgreSQL's log, and in PostgreSQL's own compression. What is encrypted cannot be found.
"""

from __future__ import annotations

import argparse
import base64
import bz2
import html
import json
import lzma
import mmap
import os
import re
import stat
import struct
import sys
import unicodedata
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias
from urllib.parse import quote

SHORTEST: Final = 8
"""How many characters a word must have, so that chance does not make it."""
WINDOW: Final = 16 << 20
"""How many bytes are searched at once."""
PIECE: Final = 64 << 20
"""How many bytes of something compressed, or of an object in a bucket, are held at once."""
DEEPEST: Final = 4
"""How often something compressed inside something compressed is opened."""
GROUP: Final = 8
"""PostgreSQL's compression puts a byte of flags before so many bytes that it leaves as they are."""
BEGINNINGS: Final = (rb"\x28\xb5\x2f\xfd", rb"\x1f\x8b\x08", rb"x[\x01\x5e\x9c\xda]", rb"PK\x03\x04", rb"BZh[1-9]")
MAGICS: Final = [re.compile(each) for each in (*BEGINNINGS, rb"\xfd7zXZ\x00")]
"""How what is compressed begins; one after the other they are found faster than all at once."""
SQLITE: Final = b"SQLite format 3\x00"
WAL_OF_SQLITE: Final = (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83")
PAGE_OF_PG: Final = 8192
HEADS_OF_PG: Final = (24, 40)
"""How long the heads of pages are in PostgreSQL's log."""

Data: TypeAlias = "bytes | mmap.mmap"


@dataclass(frozen=True)
class Hit:
    """A word that was found: the number of the word (from 1), where, from which byte on, and in which form."""

    canary: int
    place: str
    offset: int
    form: str


@dataclass
class Found:
    """What a scan came to; it is clean only if nothing was found and nothing was left unread."""

    hits: list[Hit] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    limits: list[str] = field(default_factory=list)
    files: int = 0
    size: int = 0

    @property
    def clean(self) -> bool:
        """Whether the words are verified absent in what was named."""
        return not self.hits and not self.unread


@dataclass(frozen=True)
class Pattern:
    """The bytes of one word in one form."""

    content: bytes
    canary: int
    form: str


# --- forms of a word -------------------------------------------------------------------------------------------------


def patterns(canaries: Sequence[str]) -> list[Pattern]:
    """Return every form of every word; ValueError if one is so short that chance would make it."""
    found: dict[bytes, Pattern] = {}
    for number, canary in enumerate(canaries or [""], 1):
        if len(canary) < SHORTEST:
            message = f"word {number} is too short: give at least {SHORTEST} characters"
            raise ValueError(message)
        for form, content in _forms(canary):
            found.setdefault(content, Pattern(content, number, form))
    return list(found.values())


def _forms(canary: str) -> Iterator[tuple[str, bytes]]:
    alike = [unicodedata.normalize(form, canary) for form in ("NFC", "NFD")]
    for text in dict.fromkeys([canary, *alike, *(each.lower() for each in alike), *(each.upper() for each in alike)]):
        plain = text.encode("utf-8", "surrogatepass")
        yield "utf-8", plain
        yield "json", json.dumps(text)[1:-1].encode()
        yield "html", html.escape(text).encode("utf-8", "surrogatepass")
        yield from (("url", each.encode()) for each in (quote(plain, safe=""), quote(plain).lower()))
    plain = canary.encode("utf-8", "surrogatepass")
    yield from (("utf-16", canary.encode(each, "surrogatepass")) for each in ("utf-16-le", "utf-16-be"))
    yield from (("hex", each.encode()) for each in (plain.hex(), plain.hex().upper()))
    for offset, skipped in enumerate((0, 2, 3)):
        shifted = bytes(offset) + plain
        kept = slice(skipped, len(shifted) * 8 // 6)
        yield from (("base64", each(shifted)[kept]) for each in (base64.b64encode, base64.urlsafe_b64encode))


def _grouped(every: Sequence[Pattern]) -> list[Pattern]:
    """Return what a word becomes in PostgreSQL's compression, where nothing of it was compressed."""
    found = []
    for pattern in every:
        for start in range(GROUP):
            groups = [pattern.content[at : at + GROUP] for at in range(start, len(pattern.content) - GROUP + 1, GROUP)]
            if pattern.form == "utf-8" and len(groups) > 1:
                found.append(Pattern(b"\x00" + b"\x00".join(groups[:2]), pattern.canary, "pglz"))
    return found


# --- looking ---------------------------------------------------------------------------------------------------------


class Scan:
    """A search for words, over any number of places; *found* is what it came to."""

    def __init__(self, canaries: Sequence[str]) -> None:
        self.canaries = tuple(canaries)
        self.patterns = patterns(canaries)
        self.wanted = {False: self.patterns, True: self.patterns + _grouped(self.patterns)}
        self.beginnings = {database: {each.content[:GROUP] for each in some} for database, some in self.wanted.items()}
        self.longest = max((len(pattern.content) for pattern in self.wanted[True]), default=0)
        self.found = Found()

    def look(self, data: Data, place: str, depth: int = 0, *, database: bool = False) -> None:
        """Search bytes; *database* says that they are PostgreSQL's."""
        size = len(data)
        wanted, beginnings = self.wanted[database], self.beginnings[database]
        for start in range(0, size, WINDOW):
            window = data[max(0, start - self.longest) : start + WINDOW]
            likely = {beginning for beginning in beginnings if beginning in window}
            asked = [pattern for pattern in wanted if pattern.content[:GROUP] in likely] if likely else []
            seen = {pattern: at for pattern in asked if (at := window.find(pattern.content)) >= 0}
            for pattern, at in seen.items():
                self._hit(pattern, place, max(0, start - self.longest) + at)
            wanted = [each for each in wanted if each not in seen] if seen else wanted  # the first of each is enough
            if depth < DEEPEST:
                self._open(data, range(start, min(start + WINDOW, size)), place, depth)
        pages = pages_of(data[:32], database=database)
        plain = [pattern for pattern in self.patterns if pattern.form == "utf-8"]
        for pattern, at in cut(data, plain, pages) if pages and pages.size else ():
            self._hit(Pattern(pattern.content, pattern.canary, f"{pattern.form}, cut by a page"), place, at)

    def _open(self, data: Data, window: range, place: str, depth: int) -> None:
        """Search what is compressed and begins in this window."""
        edge = min(window.stop + GROUP, len(data))
        for magic in (found for each in MAGICS for found in each.finditer(data, window.start, edge)):
            if magic.start() >= window.stop:
                continue
            rest = b""
            for piece in self._opened(data, magic.start(), magic[0]):
                self.look(rest + piece, f"{place} (opened at byte {magic.start()})", depth + 1)
                rest = piece[-self.longest :]

    def _opened(self, data: Data, at: int, magic: bytes) -> Iterator[bytes]:
        if magic[:2] == b"PK":
            head = data[at : at + 30]
            if len(head) < 30 or head[8:10] != b"\x08\x00":  # noqa: PLR2004 (the length of the head of a member)
                return
            name, extra = struct.unpack("<HH", head[26:30])
            yield from _inflated(zlib.decompressobj(-15), data, at + 30 + name + extra)
        elif magic == b"\x28\xb5\x2f\xfd":
            yield from self._zstd(data, at)
        elif magic[:2] == b"BZ":
            yield from _inflated(bz2.BZ2Decompressor(), data, at)
        elif magic[:1] == b"\xfd":
            yield from _inflated(lzma.LZMADecompressor(), data, at)
        else:
            yield from _inflated(zlib.decompressobj(31 if magic[:1] == b"\x1f" else 15), data, at)

    def _zstd(self, data: Data, at: int) -> Iterator[bytes]:
        try:
            import zstandard  # noqa: PLC0415 (it is not needed for anything else)
        except ImportError:
            self._limit("zstandard is not installed, so what is compressed by zstd was not opened")
            return
        yield from _inflated(zstandard.ZstdDecompressor().decompressobj(), data, at, zstandard.ZstdError)

    def _hit(self, pattern: Pattern, place: str, at: int) -> None:
        self.found.hits.append(Hit(pattern.canary, self.masked(place), at, pattern.form))

    def _limit(self, text: str) -> None:
        if text not in self.found.limits:
            self.found.limits.append(text)

    def masked(self, text: str) -> str:
        """Return a text without the words that are looked for."""
        for number, canary in enumerate(self.canaries, 1):
            text = text.replace(canary, f"[canary {number}]")
        return text.encode(errors="replace").decode()

    # --- places ------------------------------------------------------------------------------------------------------

    def places(self, names: Iterable[str]) -> Found:
        """Search files, folders with all below them, and buckets (``s3://bucket/prefix``)."""
        for name in names:
            if name.startswith("s3://"):
                bucket, _, prefix = name.removeprefix("s3://").partition("/")
                self.bucket(_client(), bucket, prefix)
            else:
                self._tree(Path(name))
        return self.found

    def _tree(self, top: Path) -> None:
        if not top.is_dir() or top.is_symlink():
            self._file(top, database=False)
            return
        databases: set[Path] = set()
        for name, folders, files in os.walk(top, onerror=self._unread):
            folder = Path(name)
            database = "PG_VERSION" in files or folder.parent in databases
            if database:
                databases.add(folder)
            for each in sorted(files):
                self._file(folder / each, database=database)
            for each in sorted(folders):
                self._name(folder / each)

    def _unread(self, error: OSError) -> None:
        self.found.unread.append(self.masked(f"{error.filename}: {error.strerror}"))

    def _name(self, path: Path) -> None:
        said = os.fsencode(path.name) + (b" " + os.fsencode(path.readlink()) if path.is_symlink() else b"")
        self.look(said, f"{path} (its name)", DEEPEST)

    def _file(self, path: Path, *, database: bool) -> None:
        try:
            self._name(path)
            look = path.lstat()
            if not stat.S_ISREG(look.st_mode):
                if not stat.S_ISLNK(look.st_mode):
                    self._limit("what is no file, folder or link was not opened")
                return
            if look.st_size:
                with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                    self.look(data, str(path), database=database)
        except (OSError, ValueError) as error:  # a file that was emptied meanwhile is a ValueError
            self.found.unread.append(self.masked(f"{path}: {getattr(error, 'strerror', None) or error}"))
            return
        self.found.files += 1
        self.found.size += look.st_size

    def bucket(self, client: Any, bucket: str, prefix: str = "") -> None:  # noqa: ANN401 (a client of boto3)
        """Search every version of every object, their keys and what is said of them; unfinished parts are unread."""
        pages = client.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix)
        for page in pages:
            for each in (*page.get("Versions", ()), *page.get("DeleteMarkers", ())):
                self.look(each["Key"].encode(), f"s3://{bucket}/{each['Key']} (its key)", DEEPEST)
            for each in page.get("Versions", ()):
                self._object(client, bucket, each["Key"], each["VersionId"])
        for page in client.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=prefix):
            for each in page.get("Uploads", ()):
                where = f"s3://{bucket}/{each['Key']}, upload {each['UploadId']}"
                self.found.unread.append(self.masked(f"{where}: its parts cannot be read until it is ended or aborted"))

    def _object(self, client: Any, bucket: str, key: str, version: str) -> None:  # noqa: ANN401
        place = f"s3://{bucket}/{key}, version {version}"
        try:
            answer = client.get_object(Bucket=bucket, Key=key, VersionId=version)
            self.look(repr(answer.get("Metadata", {})).encode(), f"{place} (what is said of it)", DEEPEST)
            size, rest = 0, b""
            while piece := answer["Body"].read(PIECE):
                self.look(rest + piece, place)
                size, rest = size + len(piece), piece[-self.longest :]
        except Exception as error:  # noqa: BLE001 (whatever the client raises, this version was not read)
            self.found.unread.append(self.masked(f"{place}: {error}"))
            return
        self.found.files += 1
        self.found.size += size


def _client() -> Any:  # noqa: ANN401 (a client of boto3)
    import boto3  # noqa: PLC0415 (only who names a bucket needs it)

    return boto3.client("s3")


def _inflated(opener: Any, data: Data, at: int, *faults: type[Exception]) -> Iterator[bytes]:  # noqa: ANN401
    """Yield what was compressed from a byte on, as far as it goes; *opener* is of any class that decompresses."""
    step, piece = 1 << 16, bytearray()
    wrong: tuple[type[Exception], ...] = (zlib.error, OSError, EOFError, lzma.LZMAError, *faults)
    try:
        while at < len(data) and not opener.eof:
            piece += opener.decompress(data[at : at + step])
            at += step
            if len(piece) >= PIECE:
                yield bytes(piece)
                piece.clear()
    except wrong:
        pass  # nothing compressed begins here, or it is damaged: what came out is looked at
    if piece:
        yield bytes(piece)


# --- words cut in two ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pages:
    """How a file is cut into pages: their size, where the first is, the gap before each, where text goes on in one."""

    size: int
    first: int
    gap: int
    starts: tuple[int, ...]

    def inside(self, at: int) -> int:
        """Return where in its page a byte is, negative in the gap before it."""
        return (at - self.first) % (self.size + self.gap) - self.gap


def pages_of(head: bytes, *, database: bool) -> Pages | None:
    """Return how a file with this beginning is cut into pages; *database* says that it is one of PostgreSQL's."""
    if head.startswith(SQLITE):
        return Pages(int.from_bytes(head[16:18], "big") << (16 if head[16:18] == b"\x00\x01" else 0), 0, 0, (4,))
    if head[:4] in WAL_OF_SQLITE:
        return Pages(int.from_bytes(head[8:12], "big"), 32, 24, (4,))
    return Pages(PAGE_OF_PG, 0, 0, HEADS_OF_PG) if database else None


def cut(data: Data, wanted: Sequence[Pattern], pages: Pages) -> Iterator[tuple[Pattern, int]]:
    """Yield words of which at least half stands at the edge of a page, where the rest is on another page."""
    most = len(data) // max(pages.size, 1) + 1
    for pattern in wanted:
        content, half = pattern.content, (len(pattern.content) + 1) // 2
        for at in _all(data, content[:half]):
            end = at + _alike(content, data[at : at + len(content)])
            following = int.from_bytes(data[end : end + 4], "big")  # SQLite says there on which page it goes on
            if end - at < len(content) and (pages.inside(end) <= 0 or 0 < following <= most):
                yield pattern, at
        for at in _all(data, content[-half:]):
            before = data[max(0, at + half - len(content)) : at + half]
            begin = at + half - _alike(content[::-1], before[::-1])
            if at + half - begin < len(content) and pages.inside(begin) in pages.starts:
                yield pattern, begin


def _all(data: Data, content: bytes) -> Iterator[int]:
    at = -1
    while (at := data.find(content, at + 1)) >= 0:
        yield at


def _alike(one: bytes, other: bytes) -> int:
    """Return how many bytes two texts have in common at their beginning."""
    return next((at for at, (left, right) in enumerate(zip(one, other, strict=False)) if left != right), len(other))


# --- as a program ----------------------------------------------------------------------------------------------------


def scan(canaries: Sequence[str], names: Iterable[str]) -> Found:
    """Look for words in files, folders and buckets."""
    return Scan(canaries).places(names)


def lines(found: Found) -> Iterator[str]:
    """Yield what a person reads of a scan; the words themselves are not in it."""
    for hit in found.hits:
        yield f"canary {hit.canary} in {hit.place}, at byte {hit.offset}, as {hit.form}"
    yield from (f"not read: {text}" for text in found.unread)
    yield from (f"note: {text}" for text in found.limits)
    what = f"{len(found.hits)} found" if found.hits else "none found"
    yield f"{what} in {found.files} files and objects, {found.size} bytes, {len(found.unread)} not read"


def main(arguments: Sequence[str] | None = None, tell: Callable[[str], Any] = sys.stdout.write) -> int:
    """Run as a program: 0 if nothing was found, 1 if something was or could not be read."""
    parser = argparse.ArgumentParser(description="Look for words in files, folders and buckets, in many forms.")
    parser.add_argument("--canary", action="append", required=True, help="a word; - reads one a line from the input")
    parser.add_argument("place", nargs="+", help="a file, a folder, or s3://bucket/prefix")
    given = parser.parse_args(arguments)
    words = [word for each in given.canary for word in (sys.stdin.read().splitlines() if each == "-" else [each])]
    found = scan(words, given.place)
    tell("".join(f"{line}\n" for line in lines(found)))
    return 0 if found.clean else 1


if __name__ == "__main__":
    sys.exit(main())
