"""References are tracked by the rules of their schemes, fetched again, and checked."""

from __future__ import annotations

import logging
from base64 import b64encode
from collections.abc import Callable, Iterator
from hashlib import md5, sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from attrs import frozen

from muniment.app import bootstrap, config, lifecycle
from muniment.app.files.download import download, manifest_of, open_entry
from muniment.app.files.reference import reference_to, resolve, sources
from muniment.app.store import Store
from muniment.domain.errors import (
    CorruptError,
    InvalidNameError,
    InvalidValueError,
    NotFoundError,
    VersionDeletedError,
)
from muniment.domain.manifest import Entry
from muniment.domain.values import VersionId
from tests.app.contents import log, tree


@pytest.fixture
def store() -> Store:
    return bootstrap.open_store(config.load())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "out"


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


def test_a_password_of_an_unknown_scheme_is_neither_kept_nor_repeated(store: Store) -> None:
    for name in (None, "table"):
        with pytest.raises(InvalidValueError, match="may not hold a password") as caught:
            resolve(store, "mysql://me:secret@host/table", name)
        assert "secret" not in str(caught.value)


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
