"""The scan finds a planted word in every form in which stores keep text, and says where without saying the word."""

from __future__ import annotations

import ast
import base64
import bz2
import gzip
import io
import json
import lzma
import os
import sqlite3
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from muniment.app import scan as scanning
from muniment.app.scan import Found, Hit, scan
from tests.servers import postgres, seaweedfs

CANARY = "canary-7f3a9c51-e2b4"
SOURCE = Path(scanning.__file__)


def zipped(content: bytes, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr("inner.xml", content)
    return buffer.getvalue()


FORMS: dict[str, Callable[[bytes], bytes]] = {
    "utf-8": bytes,
    "upper case": bytes.upper,
    "utf-16 little": lambda text: text.decode().encode("utf-16-le"),
    "utf-16 big": lambda text: text.decode().encode("utf-16-be"),
    "base64 0": lambda text: base64.b64encode(b"123" + text + b"x"),
    "base64 1": lambda text: base64.b64encode(b"1234" + text + b"xy"),
    "base64 2": lambda text: base64.b64encode(b"12345" + text + b"xyz"),
    "base64 of URLs": lambda text: base64.urlsafe_b64encode(b"\xff\xfe" + text + b"\xff\xfe"),
    "hex": lambda text: text.hex().encode(),
    "hex in capitals": lambda text: text.hex().upper().encode(),
    "zlib": zlib.compress,
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstandard.compress,
    "zip": zipped,
    "zip, stored": lambda text: zipped(text, zipfile.ZIP_STORED),
    "zip in gzip": lambda text: gzip.compress(zipped(text)),
    "base64 in zlib in zip": lambda text: zipped(zlib.compress(base64.b64encode(b"a" + text + b"b"))),
    "cut short": lambda text: gzip.compress(text + os.urandom(1000))[:-500],
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("before", [0, 1, 4097])
def test_a_word_is_found_in_every_form(tmp_path: Path, form: str, before: int) -> None:
    hidden = FORMS[form](f"some text {CANARY} and more".encode())
    (tmp_path / "file").write_bytes(b"\x00" * before + hidden + b"\x00" * 100)
    found = scan(["another-word", CANARY], [str(tmp_path)])
    assert {hit.canary for hit in found.hits} == {2}
    assert not found.clean


@pytest.mark.parametrize(
    "written",
    [
        "Zo\N{LATIN SMALL LETTER E WITH DIAERESIS} <Doe>",
        "Zoe\N{COMBINING DIAERESIS} <Doe>",
        json.dumps("Zo\N{LATIN SMALL LETTER E WITH DIAERESIS} <Doe>"),
        "Zo\N{LATIN SMALL LETTER E WITH DIAERESIS} &lt;Doe&gt;",
        "Zo%C3%AB%20%3CDoe%3E",
        "zo%c3%ab%20%3cdoe%3e",
        "ZO\N{LATIN CAPITAL LETTER E WITH DIAERESIS} <DOE>",
    ],
)
def test_escaped_and_composed_letters_are_found(tmp_path: Path, written: str) -> None:
    (tmp_path / "file").write_text(written, "utf-8")
    assert scan(["Zo\N{LATIN SMALL LETTER E WITH DIAERESIS} <Doe>"], [str(tmp_path)]).hits


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_base64_is_found_between_any_bytes(before: bytes, after: bytes) -> None:
    looking = scanning.Scan([CANARY])
    looking.look(base64.b64encode(before + CANARY.encode() + after), "here")
    assert looking.found.hits


def test_a_clean_folder_is_clean_and_everything_was_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(os.urandom(100_000))
    (tmp_path / "empty").touch()
    found = scan([CANARY], [str(tmp_path)])
    assert (found.clean, found.files, found.size, found.hits) == (True, 2, 100_000, [])


def test_names_of_files_folders_and_links_are_read_too(tmp_path: Path) -> None:
    (tmp_path / "a" / CANARY).mkdir(parents=True)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / f"{CANARY}.txt").touch()
    (tmp_path / "c").symlink_to(f"nowhere/{CANARY}")
    found = scan([CANARY], [str(tmp_path)])
    assert len(found.hits) == 3
    assert CANARY not in str(found.hits)


def test_a_word_between_two_windows_is_found(tmp_path: Path) -> None:
    for shift in (1, 10, len(CANARY) - 1):
        (tmp_path / "file").write_bytes(b"\x00" * (scanning.WINDOW - shift) + CANARY.encode())
        (hit,) = scan([CANARY], [str(tmp_path / "file")]).hits
        assert hit == Hit(1, str(tmp_path / "file"), scanning.WINDOW - shift, "utf-8")


def test_what_cannot_be_read_is_not_called_clean(tmp_path: Path) -> None:
    found = scan([CANARY], [str(tmp_path / "missing")])
    assert (found.clean, found.files) == (False, 0)
    assert found.unread == [f"{tmp_path / 'missing'}: No such file or directory"]


def test_words_that_chance_could_make_are_refused() -> None:
    with pytest.raises(ValueError, match="word 2 is too short: give at least 8"):
        scan([CANARY, "short"], [])
    with pytest.raises(ValueError, match="word 1 is too short"):
        scan([], [])


# --- databases -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("journal", ["WAL", "DELETE"])
@pytest.mark.parametrize("page", [512, 4096, 65536])
def test_every_place_in_a_file_of_sqlite_is_found(tmp_path: Path, page: int, journal: str) -> None:
    """SQLite fills its pages from the end of a text: it is what comes after the word that lets a page cut it."""
    missed, forms = [], set()
    for after in range(page - 4 - len(CANARY) - 4, page + 4):
        file = tmp_path / f"{after}.sqlite3"
        with closing(sqlite3.connect(file, isolation_level=None)) as connection:
            connection.execute(f"PRAGMA page_size = {page}")
            connection.execute(f"PRAGMA journal_mode = {journal}")
            connection.execute("PRAGMA wal_autocheckpoint = 0")
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute("CREATE TABLE t (text TEXT)")
            connection.execute("INSERT INTO t VALUES (?)", ("x" * (page * 9 // 4) + CANARY + "y" * after,))
            hits = scan([CANARY], [str(file), *([f"{file}-wal"] if journal == "WAL" else [])]).hits
        forms |= {hit.form for hit in hits}
        missed += [] if hits else [after]
        file.unlink()
    assert missed == []
    assert forms == {"utf-8", "utf-8, cut by a page"}


def test_what_was_deleted_without_overwriting_is_found(tmp_path: Path) -> None:
    file = tmp_path / "a.sqlite3"
    for secure in (0, 1):
        file.unlink(missing_ok=True)
        with closing(sqlite3.connect(file, isolation_level=None)) as connection:
            connection.execute(f"PRAGMA secure_delete = {secure}")
            connection.execute("CREATE TABLE t (text TEXT)")
            connection.executemany("INSERT INTO t VALUES (?)", [(f"{number} {CANARY}",) for number in range(50)])
            connection.execute("DELETE FROM t")
        assert scan([CANARY], [str(file)]).clean == bool(secure)


def test_what_postgresql_keeps_is_found() -> None:
    server = postgres.running()
    words = ["0f9d-short-canary-a1b2c3", "41c7-in-long-text-d4e5f6", "e93a-never-written-07c8"]
    server.sql("CREATE TABLE scanned (text text)")
    server.sql("INSERT INTO scanned VALUES ('0f9d-short-canary-a1b2c3')")
    server.sql("INSERT INTO scanned VALUES ('41c7-in-long-text-d4e5f6' || repeat('long ', 5000))")
    server.sql("CHECKPOINT")
    found = scan(words, [str(server.folder)])
    assert {hit.canary for hit in found.hits} == {1, 2}
    assert "pglz" in {hit.form for hit in found.hits if hit.canary == 2}
    server.sql("DROP TABLE scanned")


# --- buckets ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("versioned", [False, True])
def test_every_version_in_a_bucket_is_read_and_unfinished_parts_are_told(*, versioned: bool) -> None:
    server = seaweedfs.running()
    client, bucket = server.client, server.bucket(versioned=versioned)
    client.put_object(Bucket=bucket, Key="p/a", Body=gzip.compress(CANARY.encode()))
    client.put_object(Bucket=bucket, Key="p/a", Body=b"other")
    client.put_object(Bucket=bucket, Key="q", Body=CANARY.encode())
    upload = client.create_multipart_upload(Bucket=bucket, Key="p/half")["UploadId"]
    client.upload_part(Bucket=bucket, Key="p/half", UploadId=upload, PartNumber=1, Body=CANARY.encode())
    client.delete_object(Bucket=bucket, Key="p/a")
    looking = scanning.Scan([CANARY])
    looking.bucket(client, bucket, "p/")
    assert len(looking.found.hits) == int(versioned)
    (unread,) = looking.found.unread
    assert "p/half" in unread
    client.abort_multipart_upload(Bucket=bucket, Key="p/half", UploadId=upload)
    again = scanning.Scan([CANARY])
    again.bucket(client, bucket)
    assert {hit.place.split(",")[0] for hit in again.found.hits} == (
        {f"s3://{bucket}/p/a", f"s3://{bucket}/q"} if versioned else {f"s3://{bucket}/q"}
    )


# --- the program -----------------------------------------------------------------------------------------------------


def test_it_stands_alone(tmp_path: Path) -> None:
    """It runs from its one file, and imports nothing of what it checks."""
    names = {
        alias.name.split(".")[0]
        for node in ast.walk(ast.parse(SOURCE.read_text("utf-8")))
        for alias in (node.names if isinstance(node, ast.Import) else ())
    } | {
        (node.module or ".").split(".")[0]
        for node in ast.walk(ast.parse(SOURCE.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom)
    }
    assert names <= {*sys.stdlib_module_names, "boto3", "zstandard"}
    (tmp_path / "scan.py").write_bytes(SOURCE.read_bytes())
    (tmp_path / "file").write_text(CANARY)
    command = [sys.executable, "-I", str(tmp_path / "scan.py"), "--canary", "-", str(tmp_path / "file")]
    done = subprocess.run(command, input=CANARY, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.splitlines() == [
        f"canary 1 in {tmp_path / 'file'}, at byte 0, as utf-8",
        f"1 found in 1 files and objects, {len(CANARY)} bytes, 0 not read",
    ]
    (tmp_path / "file").write_text("nothing")
    assert subprocess.run(command, input=CANARY, capture_output=True, text=True, check=False).returncode == 0


def test_no_line_says_the_word(tmp_path: Path) -> None:
    (tmp_path / CANARY).write_text(CANARY)
    told: list[str] = []
    assert scanning.main(["--canary", CANARY, str(tmp_path)], told.append) == 1
    assert CANARY not in "".join(told)
    assert "none found" in "".join(scanning.lines(Found()))
