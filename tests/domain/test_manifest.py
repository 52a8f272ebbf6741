"""The version digest is what the format document says, whatever the order and history of its entries."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import zlib
from itertools import count, islice
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from muniment.domain.errors import InvalidNameError, InvalidValueError
from muniment.domain.manifest import (
    LEAF_ROWS,
    Entry,
    check_clashes,
    leaves,
    row,
    version_digest,
    wandb_digest,
    wandb_entry_digest,
)

DOCUMENT = Path(__file__).parents[2] / "docs" / "format" / "manifest.md"
HELLO = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"
WORLD = "e258d248fda94c63753607f7c4494ee0fcbe92f1a76bfdac795c9d84101eb317"
ETAG = "9bb58f26192e4ba00f01e2e7b136bbd8-5"


def numbered(total: int) -> list[Entry]:
    """Return the rows of the long vectors of the document."""
    return [Entry(f"d/{at:06d}.bin", hashlib.sha256(f"{at}".encode()).hexdigest(), at) for at in range(total)]


HELLO_ENTRY = Entry("a.txt", HELLO, 6)
WORLD_ENTRY = Entry("sub/b.txt", WORLD, 6)
SHARD = Entry("t/shard.tar", ETAG, None, "s3://bucket/shard.tar")
VECTORS = {
    "896448d58725303bbe1416ac7dc2b9f60f1f626abe010c08f3d7d4d041ab3d56": [],
    "6a1dab9f38af8c399326c5ec47671fe3e7b6fe8d59b56c61b73b4d076a9f127e": [HELLO_ENTRY],
    "2fb1dfb916b680db421020e18320053fe7f3671c39bd47b561a571388abcbea2": [HELLO_ENTRY, WORLD_ENTRY],
    "3c369e13baf07525c6ff1c809f598de1c7bddae982603ea24114aeff7d8fdfe3": [HELLO_ENTRY, WORLD_ENTRY, SHARD],
    "1cfe765dc74a859cd81bf342fd5771b9235d0ab6ebe8cdb93abd4913c4c6ccf6": numbered(65),
    "b71ec3d5c5b68a8ae26c675805fb91513667de5f38417bc7ad57f03ce5205e48": numbered(20_000),
}


# --- the document, word for word, in code that knows nothing of ours ----------------------------------------------


def number(value: int, length: int) -> bytes:
    return value.to_bytes(length, "big")


def text(value: str) -> bytes:
    return number(len(value.encode()), 4) + value.encode()


def tree(hashes: list[bytes]) -> bytes:
    if not hashes:
        return hashlib.sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    left = 1
    while left * 2 < len(hashes):
        left *= 2
    return hashlib.sha256(b"\x01" + tree(hashes[:left]) + tree(hashes[left:])).digest()


def documented(entries: list[Entry]) -> str:
    cut: list[list[Entry]] = []
    ended = True
    for entry in sorted(entries, key=lambda entry: entry.path.encode()):
        if ended:
            cut.append([])
        cut[-1].append(entry)
        ended = len(cut[-1]) == 16384 or zlib.crc32(entry.path.encode()) < 1048576
    hashes = []
    for leaf in cut:
        rows = [
            (b"B" if entry.ref is None else b"R")
            + text(entry.path)
            + (b"\x00" if entry.size is None else b"\x01" + number(entry.size, 8))
            + text(entry.digest)
            + text(entry.ref or "")
            for entry in leaf
        ]
        blocks = [b"".join(rows[at : at + 64]) for at in range(0, len(rows), 64)]
        root = tree([hashlib.sha256(b"\x00" + block).digest() for block in blocks])
        hashes.append(hashlib.sha256(b"\x00" + text(leaf[0].path) + number(len(leaf), 4) + root).digest())
    return hashlib.sha256(b"muniment-manifest-v1" + number(len(entries), 8) + tree(hashes)).hexdigest()


# --- vectors ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("digest", VECTORS)
def test_vectors_of_the_document(digest: str) -> None:
    assert version_digest(VECTORS[digest]) == digest
    assert documented(VECTORS[digest]) == digest
    assert digest in DOCUMENT.read_text(encoding="utf-8")


def test_rows_of_the_document() -> None:
    document = DOCUMENT.read_text(encoding="utf-8")
    assert all(row(entry).hex() in document for entry in (HELLO_ENTRY, WORLD_ENTRY, SHARD))


def test_leaves_of_the_document() -> None:
    cut = list(leaves(numbered(20_000)))
    assert [leaf.entries[0].size for leaf in cut] == [0, 1387, 2785, 10266, 13668]
    assert cut[0].hash.hex() in DOCUMENT.read_text(encoding="utf-8")


@pytest.mark.skipif(not (shutil.which("bash") and shutil.which("sha256sum")), reason="needs bash and sha256sum")
def test_the_shell_lines_of_the_document_compute_a_version_digest() -> None:
    script = DOCUMENT.read_text(encoding="utf-8").split("```bash\n")[1].split("```")[0]
    done = subprocess.run(["bash", "-euc", script], capture_output=True, text=True, check=True)
    assert done.stdout.split()[0] == version_digest([HELLO_ENTRY])


def test_a_leaf_holds_16384_rows_at_most() -> None:
    paths = (f"p{at:06d}" for at in count())
    never_cut = islice((path for path in paths if zlib.crc32(path.encode()) >= 1 << 20), LEAF_ROWS + 100)
    entries = [Entry(path, HELLO, 6) for path in never_cut]
    assert [len(leaf.entries) for leaf in leaves(entries)] == [16_384, 100]
    assert version_digest(entries) == documented(entries)


def test_leaves_come_while_entries_go_in() -> None:
    taken = count()
    next(leaves(Entry(f"d/{next(taken):09d}", HELLO, 6) for _ in range(10_000_000)))
    assert next(taken) <= LEAF_ROWS + 1


# --- properties ---------------------------------------------------------------------------------------------------

parts = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"], exclude_characters="/:"), max_size=3)
paths = st.lists(parts.filter(lambda part: part not in {"", ".", ".."}), min_size=1, max_size=3).map("/".join)
sizes = st.integers(0, 2**64 - 1)
stored = st.builds(Entry, paths, st.binary(min_size=32, max_size=32).map(bytes.hex), sizes)
referenced = st.builds(Entry, paths, st.text("abc:-é", max_size=9), st.none() | sizes, st.just("s3://b"))


def fits(entries: list[Entry]) -> bool:
    held = {entry.path for entry in entries}
    return not any(path[:at] in held for path in held for at in range(len(path)) if path[at] == "/")


manifests = st.lists(stored | referenced, unique_by=lambda entry: entry.path, max_size=80).filter(fits)


@given(manifests)
def test_any_manifest_has_the_digest_that_the_document_says(entries: list[Entry]) -> None:
    assert version_digest(sorted(entries, key=lambda entry: entry.path)) == documented(entries)


@given(manifests, st.data())
def test_every_field_of_a_row_counts_and_the_annex_does_not(entries: list[Entry], data: st.DataObject) -> None:
    entries = [Entry("a.txt", HELLO, 6), *(entry for entry in entries if entry.path.split("/")[0] != "a.txt")]
    entries.sort(key=lambda entry: entry.path)
    at = entries.index(HELLO_ENTRY)
    others = [
        Entry("a.tx", HELLO, 6),
        Entry("a.txt", WORLD, 6),
        Entry("a.txt", HELLO, 7),
        Entry("a.txt", HELLO, 6, "r"),
    ]
    other = data.draw(st.sampled_from(others))
    assert version_digest([other]) != version_digest([HELLO_ENTRY])
    changed = sorted([*entries[:at], other, *entries[at + 1 :]], key=lambda entry: entry.path)
    if fits(changed) and len({entry.path for entry in changed}) == len(changed):
        assert version_digest(changed) != version_digest(entries)
    annexed = [evolve(entry, annex={"birth": "0" * 32}) for entry in entries]
    assert version_digest(annexed) == version_digest(entries)


@given(st.lists(paths, unique=True, max_size=30))
def test_paths_clash_if_and_only_if_one_is_the_folder_of_another(found: list[str]) -> None:
    entries = [Entry(path, HELLO, 6) for path in sorted(found)]
    if fits(entries):
        check_clashes(sorted(found))
        version_digest(entries)
    else:
        with pytest.raises(InvalidNameError, match="is a file and the folder of"):
            check_clashes(sorted(found))
        with pytest.raises(InvalidNameError, match="is a file and the folder of"):
            version_digest(entries)


# --- refusals -----------------------------------------------------------------------------------------------------


def test_a_clash_is_found_across_leaves() -> None:
    between = [Entry(f"a-{at:06d}", HELLO, 6) for at in range(20_000)]
    entries = [Entry("a", HELLO, 6), *between, Entry("a/b", HELLO, 6)]
    with pytest.raises(InvalidNameError, match="'a' is a file and the folder of 'a/b'"):
        version_digest(entries)
    with pytest.raises(InvalidNameError, match="'a' is a file and the folder of 'a/b'"):
        check_clashes(entry.path for entry in entries)


@pytest.mark.parametrize(
    ("entries", "error", "says"),
    [
        ([HELLO_ENTRY, HELLO_ENTRY], InvalidNameError, "'a.txt' comes twice"),
        ([WORLD_ENTRY, HELLO_ENTRY], InvalidValueError, "'a.txt' comes after 'sub/b.txt'"),
        ([Entry("", HELLO, 6)], InvalidNameError, "''"),
        ([Entry("/a", HELLO, 6)], InvalidNameError, "'/a'"),
        ([Entry("a//b", HELLO, 6)], InvalidNameError, "'a//b'"),
        ([Entry("a/", HELLO, 6)], InvalidNameError, "'a/'"),
        ([Entry("a/../b", HELLO, 6)], InvalidNameError, "'a/../b'"),
        ([Entry("..", HELLO, 6)], InvalidNameError, "'..'"),
        ([Entry("./a", HELLO, 6)], InvalidNameError, "'./a'"),
        ([Entry("C:a", HELLO, 6)], InvalidNameError, "'C:a'"),
        ([Entry("a\nb", HELLO, 6)], InvalidNameError, "control character"),
        ([Entry("a\ud800", HELLO, 6)], InvalidNameError, "control character"),
        ([Entry("a", HELLO, -1)], InvalidValueError, "'a'"),
        ([Entry("a", HELLO, 2**64)], InvalidValueError, "'a'"),
        ([Entry("a", HELLO, None)], InvalidValueError, "'a' is stored"),
        ([HELLO_ENTRY, Entry("b", HELLO.upper(), 6)], InvalidValueError, "'b' is stored"),
        ([HELLO_ENTRY, Entry("b", HELLO[:-1] + " ", 6)], InvalidValueError, "'b' is stored"),
        ([HELLO_ENTRY, Entry("b", ETAG, 6)], InvalidValueError, "'b' is stored"),
        ([HELLO_ENTRY, Entry("b", ETAG, 6, "")], InvalidValueError, "'b' is a reference to nowhere"),
        ([HELLO_ENTRY, Entry("b", ETAG, 6, "\ud800")], InvalidValueError, "'b'"),
    ],
)
def test_what_no_manifest_can_hold_is_refused_by_name(entries: list[Entry], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=re.escape(says)):
        version_digest(entries)


@pytest.mark.parametrize("path", ["ab:c", "d/a:b", "ü/…", "a\u00a0b", ".hidden", "...", "a..b"])
def test_unusual_paths_are_allowed(path: str) -> None:
    assert version_digest([Entry(path, HELLO, 6)]) == documented([Entry(path, HELLO, 6)])


# --- W&B ----------------------------------------------------------------------------------------------------------


def test_the_digest_that_wandb_shows() -> None:
    assert wandb_digest([]) == "64e7c61456b10382e2f3b571ac24b659"
    assert wandb_digest([("e", "1B2M2Y8AsgTpgAmY7PhCfg==")]) == "d80a2db4cbe9c4b9cf2244cdd9996523"
    two = [("sub/b.txt", "WReFt5RgHiErJg4lklY2/Q=="), ("a.txt", "sZRqySSS0jR8YjW00mERhA==")]
    assert wandb_digest(two) == "88826422d4caa571ae881921b657ae34"


def test_the_entry_digest_that_wandb_shows() -> None:
    annex = {"md5": "sZRqySSS0jR8YjW00mERhA=="}
    assert wandb_entry_digest(evolve(HELLO_ENTRY, annex=annex)) == annex["md5"]
    assert wandb_entry_digest(evolve(SHARD, annex=annex)) == ETAG
    assert wandb_entry_digest(Entry("a.txt", f"sha256:{HELLO}", 6, "file:///a.txt", annex)) == annex["md5"]
    with pytest.raises(InvalidValueError, match=r"'a\.txt' has no MD5"):
        wandb_entry_digest(HELLO_ENTRY)
