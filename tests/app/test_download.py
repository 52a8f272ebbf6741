"""Versions come out whole and verified; references are followed, and nothing is written where it does not belong."""

from __future__ import annotations

import logging
import os
import resource
from base64 import b64encode
from collections.abc import Callable, Iterator
from hashlib import md5, sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from attrs import evolve, frozen

from muniment.app import bootstrap, catalog, config, directory, lifecycle, manifests, runs
from muniment.app.catalog import Found
from muniment.app.download import checkout, download, manifest_of, open_entry, verify_folder, verify_stored
from muniment.app.log_artifact import Draft
from muniment.app.placing import refusing
from muniment.app.reading import SMALL
from muniment.app.reference import reference_to, resolve, sources
from muniment.app.staging import Staged, Staging
from muniment.app.store import Store
from muniment.app.upload import log_contents
from muniment.domain.errors import (
    CorruptError,
    InvalidNameError,
    InvalidValueError,
    NotFoundError,
    StorageError,
    StorageFullError,
    VersionDeletedError,
)
from muniment.domain.manifest import Entry, leaf_of
from muniment.domain.ports import BlobSource
from muniment.domain.values import Digest, VersionId

LARGE = 2 * SMALL + 5
LATER = 60_000_000


@pytest.fixture
def store() -> Store:
    return bootstrap.open_store(config.load())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "out"


def log(store: Store, content: dict[str, bytes], *entries: Entry, name: str = "set") -> Found:
    with Staging(store) as staging:
        staged = [staging.add_bytes(path, bytes_) for path, bytes_ in content.items()]
        logged = log_contents(
            store,
            directory.project(store.views, "local", "uncategorized"),
            [*staged, *map(Staged, entries)],
            lambda made: Draft(
                name, "data", made.digest, made.manifest, made.size, made.entries, sources=sources(entries)
            ),
        )
    return catalog.origin(store.views, logged.version_id)


def tree(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def blob(store: Store, content: bytes) -> Path:
    digest = sha256(content).hexdigest()
    return store.config.home / "blobs" / "sha256" / digest[:2] / digest


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.chmod(0o600)
    path.write_bytes(content)


# --- stored bytes ----------------------------------------------------------------------------------------------------


def test_what_went_in_comes_out(store: Store, root: Path) -> None:
    content = {f"d{number % 7}/{number:03}": b"%d" % number for number in range(600)}
    content |= {"empty": b"", "large": os.urandom(LARGE), "a/b/c/é": b"deep"}
    done = download(store, log(store, content), root)
    assert tree(root) == content
    assert (done.root, done.entries, done.size) == (str(root), len(content), sum(map(len, content.values())))


def test_an_empty_version_is_an_empty_folder(store: Store, root: Path) -> None:
    assert download(store, log(store, {}), root).entries == 0
    assert tree(root) == {}
    assert root.is_dir()


def test_a_prefix_chooses_what_comes(store: Store, root: Path) -> None:
    done = download(store, log(store, {"a/1": b"1", "a/2": b"2", "b": b"b"}), root, path_prefix="a/")
    assert tree(root) == {"a/1": b"1", "a/2": b"2"}
    assert done.entries == 2


@pytest.mark.parametrize("content", [b"small", bytes(LARGE)], ids=["small", "large"])
def test_a_flipped_byte_is_reported_and_nothing_stands_under_the_name(store: Store, root: Path, content: bytes) -> None:
    version = log(store, {"d/x": content})
    flip(blob(store, content))
    with pytest.raises(CorruptError, match="'d/x'"):
        download(store, version, root)
    with pytest.raises(CorruptError, match="'d/x'"):
        verify_stored(store, version)
    assert tree(root) == {}


@pytest.mark.parametrize("content", [b"small", bytes(LARGE)], ids=["small", "large"])
def test_a_missing_blob_is_reported_with_the_name_of_the_file(store: Store, root: Path, content: bytes) -> None:
    version = log(store, {"d/x": content})
    blob(store, content).unlink()
    with pytest.raises(CorruptError, match="'d/x'"):
        download(store, version, root, allow_missing_references=True)
    assert tree(root) == {}


def test_stored_bytes_can_be_verified_in_place(store: Store) -> None:
    reference = Entry("ref", "etag", None, "s3://bucket/x")
    assert verify_stored(store, log(store, {"x": b"x", "large": bytes(LARGE)}, reference)) == 2


def test_a_version_that_was_purged_has_nothing_to_download(store: Store, root: Path) -> None:
    version = log(store, {"x": b"x"})
    with pytest.raises(VersionDeletedError, match="set:v0"):
        download(store, evolve(version, version=evolve(version.version, manifest=None)), root)


# --- where files stand already ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("skip_cache", [None, True])
def test_right_files_stay_wrong_ones_are_replaced_others_are_left_alone(
    store: Store,
    root: Path,
    skip_cache: bool | None,  # noqa: FBT001 (a parameter of the test)
) -> None:
    version = log(store, {"d/right": b"right", "d/wrong": b"wrong", "d/short": b"short"})
    (root / "d").mkdir(parents=True)
    for name, content in (("right", b"right"), ("wrong", b"WRONG"), ("short", b"s"), ("other", b"other")):
        (root / "d" / name).write_bytes(content)
    before = (root / "d/right").stat().st_ino
    for _ in range(2):
        download(store, version, root, skip_cache=skip_cache)
        assert tree(root) == {"d/right": b"right", "d/wrong": b"wrong", "d/short": b"short", "d/other": b"other"}
        assert (root / "d/right").stat().st_ino == before


def test_a_file_remembered_as_something_else_is_replaced(store: Store, root: Path) -> None:
    now = store.clock
    later = evolve(store, clock=lambda: now() + LATER)
    download(later, log(store, {"x": b"one"}), root)
    download(later, log(store, {"x": b"one"}), root)  # looks, and remembers
    download(later, log(store, {"x": b"two"}), root)
    assert tree(root) == {"x": b"two"}


def test_a_link_in_the_place_of_a_file_is_replaced_not_written_through(
    store: Store, root: Path, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"victim")
    root.mkdir()
    (root / "x").symlink_to(victim)
    download(store, log(store, {"x": b"x-file"}), root)
    assert (victim.read_bytes(), (root / "x").is_symlink()) == (b"victim", False)
    assert (root / "x").read_bytes() == b"x-file"


def test_a_link_in_the_place_of_a_folder_is_refused(store: Store, root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    root.mkdir()
    (root / "d").symlink_to(outside)
    with pytest.raises(InvalidValueError, match="'d' is a link or a file"):
        download(store, log(store, {"d/x": b"x"}), root)
    assert tree(outside) == {}


def test_the_root_itself_may_be_reached_through_a_link(store: Store, root: Path, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    root.symlink_to(tmp_path / "real")
    download(store, log(store, {"x": b"x"}), root)
    assert tree(tmp_path / "real") == {"x": b"x"}


def test_a_folder_in_the_place_of_a_file_is_refused(store: Store, root: Path) -> None:
    (root / "x").mkdir(parents=True)
    with pytest.raises(InvalidValueError, match="'x' is a folder where a file must be"):
        download(store, log(store, {"x": b"x"}), root)


def test_a_file_in_the_place_of_the_root_is_refused(store: Store, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root.write_text("in the way")
    monkeypatch.chdir(root.parent)
    with pytest.raises(StorageError, match=r"^'out' cannot be written"):
        download(store, log(store, {"x": b"x"}), root.name)
    assert root.read_text() == "in the way"


def test_a_place_that_cannot_be_written_is_a_storage_error(store: Store) -> None:
    with pytest.raises(StorageError, match="cannot be written"):
        download(store, log(store, {"x": b"x"}), "/proc/nowhere")


def test_a_write_that_fails_leaves_nothing_half_written(store: Store, root: Path) -> None:
    version = log(store, {"large": bytes(LARGE)})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (SMALL, limits[1]))
    try:
        with pytest.raises(StorageError, match="'large'"):
            download(store, version, root)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(root.iterdir()) == []


def test_a_full_disk_is_called_so() -> None:
    with (
        pytest.raises(StorageFullError, match="'x'"),
        refusing("x"),
        Path("/dev/full").open("wb", buffering=0) as full,
    ):
        full.write(b"x")


def test_paths_that_lead_out_are_never_followed(store: Store, root: Path) -> None:
    leaf = leaf_of([Entry("../evil", sha256(b"evil").hexdigest(), 4)])
    rows, _ = store.codec.encode(leaf)
    written = manifests.write(store.blobs, store.codec, [Entry("good", sha256(b"evil").hexdigest(), 4)])
    (record,) = manifests.read(store.blobs, store.codec, written.manifest).records
    forged = evolve(record, first="../evil", hash=leaf.hash, rows=Digest(sha256(rows).hexdigest()), rows_size=len(rows))
    index = store.codec.encode_index([forged])
    digest = Digest(sha256(index).hexdigest())
    blobs = [BlobSource(forged.rows, len(rows), rows), BlobSource(digest, len(index), index)]
    blobs.append(BlobSource(Digest(sha256(b"evil").hexdigest()), 4, b"evil"))
    assert all(result.error is None for result in store.blobs.put_many(blobs))
    with pytest.raises((InvalidNameError, CorruptError), match="evil"):
        download(store, manifests.read(store.blobs, store.codec, digest), root)
    assert not (root.parent / "evil").exists()


# --- references to files ---------------------------------------------------------------------------------------------


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    (folder / "sub").mkdir(parents=True)
    (folder / "a b").write_bytes(b"a")
    (folder / "sub" / "c").write_bytes(b"c")
    return folder


def test_a_folder_is_tracked_file_by_file(store: Store, data: Path, root: Path) -> None:
    entries = resolve(store, data.as_uri())
    assert [(entry.path, entry.digest) for entry in entries] == [
        ("a b", f"sha256:{sha256(b'a').hexdigest()}"),
        ("sub/c", f"sha256:{sha256(b'c').hexdigest()}"),
    ]
    done = download(store, log(store, {}, *entries), root)
    assert tree(root) == {"a b": b"a", "sub/c": b"c"}
    assert (done.entries, done.size) == (2, 2)


def test_a_name_goes_before_the_paths_of_a_folder_and_replaces_that_of_a_file(store: Store, data: Path) -> None:
    assert [entry.path for entry in resolve(store, data.as_uri(), "in/side")] == ["in/side/a b", "in/side/sub/c"]
    file = (data / "a b").as_uri()
    assert [entry.path for entry in resolve(store, file)] == ["a b"]
    assert [entry.path for entry in resolve(store, file, "x/y")] == ["x/y"]


def test_without_checksum_only_the_location_is_kept(store: Store, data: Path) -> None:
    uri = data.as_uri()
    assert resolve(store, uri, checksum=False) == [Entry("data", uri, None, uri)]
    assert resolve(store, uri, "x", checksum=False) == [Entry("x", uri, None, uri)]


def test_too_many_objects_are_an_error_not_a_cut(store: Store, data: Path) -> None:
    with pytest.raises(InvalidValueError, match="Exceeded 1 objects tracked"):
        resolve(store, data.as_uri(), max_objects=1)


def test_md5_is_added_where_it_is_shown(store: Store, data: Path) -> None:
    weak = b64encode(md5(b"a", usedforsecurity=False).digest()).decode()
    (entry,) = resolve(store, (data / "a b").as_uri(), md5=True)
    assert entry.annex["md5"] == weak


@pytest.mark.parametrize("uri", ["data/x", "/data/x", "C:\\x", ""])
def test_a_path_is_no_reference(store: Store, uri: str) -> None:
    with pytest.raises(InvalidValueError, match=r"^References must be URIs\. To reference a local file, use file://$"):
        resolve(store, uri)


def test_an_unknown_scheme_needs_a_name_and_is_tracked_by_its_uri(
    store: Store, root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    uri = "ipfs://hash/x"
    with pytest.raises(InvalidValueError, match="give a name"):
        resolve(store, uri)
    with caplog.at_level(logging.WARNING):
        (entry,) = resolve(store, uri, "x")
    assert entry == Entry("x", uri, None, uri)
    assert "ipfs" in caplog.text
    with pytest.raises(NotFoundError, match="cannot be fetched"):
        download(store, log(store, {}, entry), root)


@pytest.mark.parametrize("name", ["../x", "/x", "a//b"])
def test_names_that_are_no_paths_are_refused(store: Store, data: Path, name: str) -> None:
    with pytest.raises(InvalidNameError):
        resolve(store, data.as_uri(), name)


def test_a_location_without_a_last_part_needs_a_name(store: Store) -> None:
    with pytest.raises(InvalidNameError, match="give a name"):
        resolve(store, "http://localhost:1/", checksum=False)


def test_a_referenced_file_that_changed_is_reported(store: Store, data: Path, root: Path) -> None:
    version = log(store, {}, *resolve(store, (data / "a b").as_uri()))
    (data / "a b").write_bytes(b"A")
    with pytest.raises(CorruptError, match="changed since it was added"):
        download(store, version, root)
    assert tree(root) == {}


def test_a_referenced_file_that_is_gone_is_an_error_unless_that_is_allowed(
    store: Store, data: Path, root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    version = log(store, {"here": b"here"}, *resolve(store, (data / "a b").as_uri()))
    (data / "a b").unlink()
    with pytest.raises(NotFoundError):
        download(store, version, root)
    with caplog.at_level(logging.WARNING):
        done = download(store, version, root, allow_missing_references=True)
    assert tree(root) == {"here": b"here"}
    assert (done.entries, done.size, done.missing) == (1, 4, ("a b",))
    assert "a b was left out" in caplog.text


def test_a_right_copy_of_a_reference_stays_even_if_the_source_is_gone(store: Store, data: Path, root: Path) -> None:
    version = log(store, {}, *resolve(store, (data / "a b").as_uri()))
    download(store, version, root)
    (data / "a b").unlink()
    assert download(store, version, root).missing == ()


# --- references to the web -------------------------------------------------------------------------------------------


@frozen
class Site:
    """A web server with one page."""

    address: str
    show: Callable[[bytes, str | None], None]


@pytest.fixture
def site() -> Iterator[Site]:
    shown: dict[str, tuple[bytes, str | None]] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body, etag = shown["page"]
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            if etag is not None:
                self.send_header("ETag", etag)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield Site(
            f"http://127.0.0.1:{server.server_port}/d/page.txt", lambda body, etag: shown.update(page=(body, etag))
        )
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize("etag", ['"one"', None], ids=["etag", "hashed"])
def test_a_web_page_is_fetched_again_and_checked(store: Store, site: Site, root: Path, etag: str | None) -> None:
    site.show(b"page", etag)
    (entry,) = resolve(store, site.address)
    assert entry.path == "page.txt"
    assert entry.digest == ("one" if etag else f"sha256:{sha256(b'page').hexdigest()}")
    version = log(store, {}, entry)
    download(store, version, root)
    assert tree(root) == {"page.txt": b"page"}
    site.show(b"PAGE", '"two"' if etag else None)
    (root / "page.txt").unlink()
    with pytest.raises(CorruptError, match="changed since it was added"):
        download(store, version, root)
    assert tree(root) == {}


# --- references to other versions ------------------------------------------------------------------------------------


def test_an_entry_of_another_version_is_fetched_from_there(store: Store, root: Path) -> None:
    source = log(store, {"d/a b": b"content"}, name="source")
    source_id = VersionId(source.version.version_id)
    (entry,) = resolve(store, reference_to(source_id, "d/a b"))
    assert (entry.path, entry.digest, entry.size) == ("a b", sha256(b"content").hexdigest(), 7)
    assert sources([entry]) == (source_id,)
    (other,) = resolve(store, f"wandb-artifact://{source_id}/d/a%20b", "x/y")
    download(store, log(store, {}, entry, other), root)
    assert tree(root) == {"a b": b"content", "x/y": b"content"}


def test_references_are_followed_from_version_to_version(store: Store, data: Path, root: Path) -> None:
    version = log(store, {"x": b"content"}, *resolve(store, (data / "a b").as_uri()), name="v0")
    for number in range(1, 4):
        entries = [
            resolve(store, reference_to(VersionId(version.version.version_id), path))[0] for path in ("x", "a b")
        ]
        version = log(store, {}, *entries, name=f"v{number}")
    download(store, version, root)
    assert tree(root) == {"x": b"content", "a b": b"a"}
    manifest = manifest_of(store, version)
    entry = manifest.get("x")
    assert entry is not None
    with open_entry(store, entry) as file:
        assert file.read() == b"content"


@pytest.mark.parametrize("uri", ["wandb-artifact://abc/x", f"muniment-artifact://{'0' * 32}", "wandb-artifact://"])
def test_what_names_no_entry_is_refused(store: Store, uri: str) -> None:
    with pytest.raises(InvalidValueError, match="names no entry"):
        resolve(store, uri)


def test_an_entry_or_version_that_is_not_there_is_not_found(store: Store) -> None:
    version = log(store, {"x": b"x"})
    with pytest.raises(NotFoundError, match="no entry 'y'"):
        resolve(store, reference_to(VersionId(version.version.version_id), "y"))
    with pytest.raises(NotFoundError):
        resolve(store, reference_to(VersionId("0" * 32), "y"))


def test_a_reference_to_a_version_that_was_deleted_is_missing(store: Store, root: Path) -> None:
    source = log(store, {"x": b"x"}, name="source")
    entries = resolve(store, reference_to(VersionId(source.version.version_id), "x"))
    version = log(store, {}, *entries)
    lifecycle.delete(store, source, delete_aliases=True)
    with pytest.raises(VersionDeletedError, match="leads to a version that was deleted"):
        download(store, version, root)
    assert download(store, version, root, allow_missing_references=True).missing == ("x",)


def test_a_download_can_be_recorded(store: Store, root: Path) -> None:
    version = log(store, {"x": b"x"})
    done = download(store, version, root)
    before = store.ledger.head().size
    runs.downloaded(store, VersionId(version.version.version_id), entries=done.entries, size=done.size)
    assert store.ledger.head().size == before + 1


# --- checkout and verify ---------------------------------------------------------------------------------------------


def test_a_checkout_leaves_nothing_else(store: Store, root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_bytes(b"kept")
    (root / "old" / "deep").mkdir(parents=True)
    (root / "old" / "deep" / "x").write_bytes(b"x")
    (root / "link").symlink_to(outside)
    (root / "d").mkdir()
    (root / "d" / "extra").write_bytes(b"extra")
    checkout(store, log(store, {"d/x": b"x", "y": b"y"}), root)
    assert tree(root) == {"d/x": b"x", "y": b"y"}
    assert sorted(path.name for path in root.iterdir()) == ["d", "y"]
    assert tree(outside) == {"kept": b"kept"}


def test_a_folder_is_verified_against_a_version(store: Store, root: Path, data: Path) -> None:
    version = log(store, {"d/x": b"x", "y": bytes(LARGE)}, *resolve(store, (data / "a b").as_uri()))
    download(store, version, root)
    verify_folder(store, version, root)
    (root / "extra").touch()
    with pytest.raises(InvalidValueError, match="extra which is not a member of artifact set:v0"):
        verify_folder(store, version, root)
    (root / "extra").unlink()
    (root / "a b").write_bytes(b"A")
    with pytest.raises(InvalidValueError, match="Digest mismatch for file: a b"):
        verify_folder(store, version, root)
    (root / "a b").write_bytes(b"a")
    flip(root / "y")
    with pytest.raises(ValueError, match="Digest mismatch for file: y"):
        verify_folder(store, version, root)
    (root / "y").unlink()
    with pytest.raises(NotFoundError, match="y"):
        verify_folder(store, version, root)


def test_references_that_only_their_store_can_tell_are_passed_over(
    store: Store, root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    version = log(store, {}, Entry("x", "etag", 1, "s3://bucket/x"))
    root.mkdir()
    (root / "x").write_bytes(b"?")
    with caplog.at_level(logging.WARNING):
        verify_folder(store, version, root)
    assert "x is a reference" in caplog.text


# --- single entries --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"small", os.urandom(LARGE)], ids=["empty", "small", "large"])
def test_an_entry_can_be_read_alone(store: Store, content: bytes) -> None:
    entry = manifest_of(store, log(store, {"x": content})).get("x")
    assert entry is not None
    with open_entry(store, entry) as file:
        assert file.read() == content
    with open_entry(store, entry) as file:
        assert b"".join(iter(lambda: file.read(1000), b"")) == content


@pytest.mark.parametrize("content", [b"small", bytes(LARGE)], ids=["small", "large"])
def test_a_damaged_entry_cannot_be_read_to_its_end(store: Store, content: bytes) -> None:
    entry = manifest_of(store, log(store, {"x": content})).get("x")
    assert entry is not None
    flip(blob(store, content))
    with pytest.raises(CorruptError, match="'x'"), open_entry(store, entry) as file:
        list(iter(lambda: file.read(1000), b""))
