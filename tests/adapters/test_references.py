"""The reference stores: the suite of their port, and what is particular to folders and to web servers."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote, unquote

import pytest
from attrs import define, field, frozen

from muniment.adapters.references import AHEAD
from muniment.adapters.references.file import FileReferences
from muniment.adapters.references.http import HttpReferences
from muniment.domain.errors import CorruptError, InvalidValueError, NotFoundError, StorageError
from muniment.domain.ports import ReferencedObject, ReferenceStore
from tests.conformance.references import Place, ReferencesConformance
from tests.conformance.tracking import TrackingConformance


def _digest(content: bytes) -> str:
    return f"sha256:{sha256(content).hexdigest()}"


@frozen
class Folder:
    path: Path

    def put(self, name: str, content: bytes) -> str:
        (self.path / name).parent.mkdir(parents=True, exist_ok=True)
        (self.path / name).write_bytes(content)
        return f"{self.path.as_uri()}/{quote(name)}"

    def remove(self, name: str) -> None:
        (self.path / name).unlink()


class TestFiles(ReferencesConformance):
    @pytest.fixture
    def place(self, tmp_path: Path) -> Folder:
        return Folder(tmp_path)

    @pytest.fixture
    def store(self) -> ReferenceStore:
        return FileReferences()

    def _paths(self, store: ReferenceStore, place: Folder, limit: int = 100) -> list[str]:
        return [each.path for each in store.resolve(place.path.as_uri(), checksum=True, limit=limit)]

    def test_a_folder_is_walked_in_the_order_of_its_paths(self, store: ReferenceStore, place: Folder) -> None:
        names = ["a/c", "a-b", "a.b", "a/b/d", "z", "Z", "ä", "10", "9", "a b"]
        for name in names:
            place.put(name, name.encode())
        (place.path / "empty").mkdir()
        found = list(store.resolve(place.path.as_uri() + "/", checksum=True, limit=10))
        assert [each.path for each in found] == sorted(names, key=str.encode)
        for each in found:
            assert each.digest == _digest(each.path.encode())
            assert each.uri == f"{place.path.as_uri()}/{quote(each.path)}"
            with store.fetch(each) as stream:
                assert stream.read() == each.path.encode()

    def test_the_limit_counts_files_below_a_folder(self, store: ReferenceStore, place: Folder) -> None:
        for name in ("a", "b", "c/d"):
            place.put(name, b"")
        assert len(self._paths(store, place, limit=3)) == 3
        with pytest.raises(InvalidValueError, match="Exceeded 2 objects tracked"):
            self._paths(store, place, limit=2)

    def test_without_checksum_a_folder_is_one_location(self, store: ReferenceStore, place: Folder) -> None:
        place.put("a", b"")
        place.put("b", b"")
        (found,) = store.resolve(place.path.as_uri(), checksum=False, limit=1)
        assert (found.path, found.digest, found.size) == ("", place.path.as_uri(), None)
        with pytest.raises(InvalidValueError, match="is a folder"):
            store.fetch(found)
        with pytest.raises(NotFoundError):
            store.resolve(place.path.as_uri() + "/gone", checksum=False, limit=1)

    def test_links_are_followed(self, store: ReferenceStore, place: Folder) -> None:
        place.put("real/file", b"x")
        (place.path / "again").symlink_to("real")
        (place.path / "one").symlink_to("real/file")
        assert self._paths(store, place) == ["again/file", "one", "real/file"]

    def test_links_that_lead_in_circles_are_refused(self, store: ReferenceStore, place: Folder) -> None:
        place.put("deep/er/file", b"x")
        (place.path / "deep/er/zz").symlink_to(place.path)
        with pytest.raises(InvalidValueError, match="leads back to itself") as caught:
            self._paths(store, place, limit=1)
        assert "deep" not in str(caught.value)
        (place.path / "deep/er/zz").unlink()
        (place.path / "self").symlink_to("self")
        with pytest.raises(InvalidValueError, match="leads back to itself"):
            list(store.resolve(f"{place.path.as_uri()}/self", checksum=True, limit=9))

    def test_a_link_to_nothing_is_not_found(self, store: ReferenceStore, place: Folder) -> None:
        (place.path / "broken").symlink_to("nothing")
        with pytest.raises(NotFoundError, match="leads nowhere") as caught:
            self._paths(store, place)
        assert "broken" not in str(caught.value)

    def test_pipes_do_not_make_us_wait(self, store: ReferenceStore, place: Folder) -> None:
        os.mkfifo(place.path / "pipe")
        with pytest.raises(StorageError, match="neither file nor folder"):
            self._paths(store, place)

    def test_what_cannot_be_read_is_a_storage_error(self, store: ReferenceStore) -> None:
        with pytest.raises(StorageError, match="cannot be read: Input/output error"):
            list(store.resolve("file:///proc/self/mem", checksum=True, limit=1))

    def test_what_may_not_be_read_is_said(self, store: ReferenceStore, place: Folder) -> None:
        uri = place.put("secret", b"x")
        (place.path / "secret").chmod(0)
        everybody = os.geteuid()
        if everybody == 0:
            gc.collect()  # stores that earlier tests left behind are tidied up while we still may
            os.seteuid(65_534)
        try:
            with pytest.raises(StorageError, match="cannot be read: Permission denied") as caught:
                list(store.resolve(uri, checksum=True, limit=1))
        finally:
            os.seteuid(everybody)
        assert uri in str(caught.value)

    def test_more_files_than_the_limit_are_not_read(
        self, store: ReferenceStore, place: Folder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for at in range(300):
            place.put(f"data/{at:03}", b"x")
        opened: list[bytes] = []
        opening = os.open

        def counted(path: bytes, flags: int) -> int:
            opened.append(path)
            return opening(path, flags)

        monkeypatch.setattr(os, "open", counted)
        found = store.resolve(f"{place.path.as_uri()}/data", checksum=True, limit=299)
        assert next(found).path == "000"
        assert len(opened) <= 2 + AHEAD
        with pytest.raises(InvalidValueError, match="Exceeded 299 objects"):
            list(found)
        assert len(opened) < 300

    def test_a_name_that_is_not_utf8_is_refused(self, store: ReferenceStore, place: Folder) -> None:
        Path(os.fsdecode(os.fsencode(place.path) + b"/\xff")).write_bytes(b"")
        with pytest.raises(InvalidValueError, match="not UTF-8"):
            self._paths(store, place)

    @pytest.fixture
    def deep(self, place: Folder) -> Iterator[str]:
        place.put("top", b"")
        here = Path.cwd()
        try:
            os.chdir(place.path)
            for _ in range(1_500):
                Path("d").mkdir()
                os.chdir("d")
            Path("file").write_bytes(b"x")
        finally:
            os.chdir(here)
        path = "/".join("d" * 1_500)
        yield path
        (place.path / path / "file").unlink()
        os.removedirs(place.path / path)  # not left to a clean-up that may go by calls

    def test_folders_may_lie_deeper_than_calls(self, store: ReferenceStore, place: Folder, deep: str) -> None:
        assert self._paths(store, place) == [f"{deep}/file", "top"]

    @pytest.mark.parametrize(
        ("uri", "message"),
        [
            ("file://data/x", "names a machine"),
            ("file:x", "no absolute path"),
            ("file://", "no absolute path"),
            ("file:///a%00b", "no absolute path"),
            ("file:///a?b", "%3F and %23"),
            ("file:///a#b", "%3F and %23"),
            ("file://[", "is no URI"),
        ],
    )
    def test_uris_that_name_no_file_here_are_refused(self, store: ReferenceStore, uri: str, message: str) -> None:
        with pytest.raises(InvalidValueError, match=message):
            store.resolve(uri, checksum=False, limit=1)


@define
class Held:
    content: bytes
    headers: dict[str, str]
    status: int = 200
    cut: int | None = None


class Handler(BaseHTTPRequestHandler):
    held: ClassVar[dict[str, Held]]
    asked: ClassVar[list[dict[str, str]]]
    heeding = True

    def do_GET(self) -> None:
        self.asked.append(dict(self.headers))
        found = self.held.get(unquote(self.path), Held(b"", {}, 404))
        wanted = self.headers.get("If-Match")
        if self.heeding and wanted and found.headers.get("ETag") not in (wanted, None) and found.status == 200:
            found = Held(b"", {}, 412)
        self.send_response(found.status)
        for name, value in {"Content-Length": str(len(found.content)), **found.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(found.content[: found.cut])

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@define
class Site:
    server: ThreadingHTTPServer
    handler: type[Handler]
    etags: bool = True
    held: dict[str, Held] = field(factory=dict)

    def uri(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/{quote(name)}"

    def put(self, name: str, content: bytes) -> str:
        headers = {"ETag": f'"{sha256(content).hexdigest()[:8]}"', "Content-Type": "text/x"} if self.etags else {}
        self.handler.held[f"/{name}"] = Held(content, headers)
        return self.uri(name)

    def remove(self, name: str) -> None:
        del self.handler.held[f"/{name}"]


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    handler = type("Fresh", (Handler,), {"held": {}, "asked": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield Site(server, handler)
        server.shutdown()
        thread.join()


class TestWeb(ReferencesConformance):
    @pytest.fixture(params=[True, False], ids=["etags", "no-etags"])
    def place(self, site: Site, request: pytest.FixtureRequest) -> Place:
        site.etags = request.param
        return site

    @pytest.fixture
    def store(self) -> ReferenceStore:
        return HttpReferences(timeout=10)


class TestTrackedWeb(TrackingConformance):
    lists = False

    @pytest.fixture(params=[True, False], ids=["etags", "no-etags"])
    def place(self, site: Site, request: pytest.FixtureRequest) -> Place:
        site.etags = request.param
        return site


def _one(uri: str) -> ReferencedObject:
    (found,) = HttpReferences(timeout=10).resolve(uri, checksum=True, limit=1)
    return found


def test_an_etag_is_the_digest_and_is_kept_raw(site: Site) -> None:
    site.put("a", b"hello")
    site.handler.held["/a"].headers |= {"ETag": 'W/"x-1"'}
    found = _one(site.uri("a"))
    assert (found.digest, found.size) == ("x-1", 5)
    assert found.annex == {"etag": 'W/"x-1"', "contentType": "text/x"}
    assert len(site.handler.asked) == 1


@pytest.mark.parametrize("etag", ["", '""', 'W/""'])
def test_without_an_etag_the_content_is_hashed(site: Site, etag: str) -> None:
    site.put("a", b"hello")
    site.handler.held["/a"].headers["ETag"] = etag
    assert _one(site.uri("a")).digest == _digest(b"hello")
    assert len(site.handler.asked) == 1


def test_without_checksum_nobody_is_asked(site: Site) -> None:
    list(HttpReferences().resolve(site.uri("a"), checksum=False, limit=1))
    assert site.handler.asked == []


@pytest.mark.parametrize("heeding", [True, False], ids=["server-answers-412", "server-ignores-if-match"])
def test_an_object_that_changed_is_not_fetched(site: Site, *, heeding: bool) -> None:
    found = _one(site.put("a", b"hello"))
    site.handler.heeding = heeding
    HttpReferences().fetch(found).close()
    assert site.handler.asked[-1]["If-Match"] == found.annex["etag"]
    site.put("a", b"other")
    with pytest.raises(CorruptError, match="changed since it was added"):
        HttpReferences().fetch(found)


def test_a_weak_etag_is_compared_but_not_demanded(site: Site) -> None:
    site.put("a", b"hello")
    site.handler.held["/a"].headers["ETag"] = 'W/"1"'
    found = _one(site.uri("a"))
    HttpReferences().fetch(found).close()
    assert "If-Match" not in site.handler.asked[-1]
    site.handler.held["/a"].headers["ETag"] = 'W/"2"'
    with pytest.raises(CorruptError, match="changed since it was added"):
        HttpReferences().fetch(found)


def test_an_answer_that_breaks_off_is_an_error(site: Site) -> None:
    found = _one(site.put("a", b"x" * 100_000))
    site.handler.held["/a"].cut = 5_000
    with HttpReferences().fetch(found) as stream, pytest.raises(StorageError, match="95000 bytes missing"):
        stream.read()
    site.handler.held["/a"].headers.clear()
    with pytest.raises(StorageError, match="95000 bytes missing"):
        _one(site.uri("a"))


def test_a_piece_that_breaks_off_is_an_error(site: Site) -> None:
    site.handler.held["/a"] = Held(b"5\r\nhel", {"Transfer-Encoding": "chunked"})
    with pytest.raises(StorageError, match="IncompleteRead"):
        _one(site.uri("a"))


@pytest.mark.parametrize(
    ("status", "error"), [(404, NotFoundError), (410, NotFoundError), (500, StorageError), (403, StorageError)]
)
def test_refusals_of_the_server_are_told_apart(site: Site, status: int, error: type[Exception]) -> None:
    site.put("a", b"hello")
    site.handler.held["/a"].status = status
    with pytest.raises(error, match=str(status)):
        _one(site.uri("a"))


def test_redirects_are_followed_but_only_on_the_web(site: Site, tmp_path: Path) -> None:
    target = site.put("target", b"hello")
    site.put("a", b"")
    site.handler.held["/a"] = Held(b"", {"Location": target}, 307)
    assert _one(site.uri("a")).size == 5
    assert _one(site.uri("a")).uri == site.uri("a")
    for elsewhere in (tmp_path.as_uri(), "ftp://127.0.0.1/x", site.uri("a")):
        site.handler.held["/a"] = Held(b"", {"Location": elsewhere}, 302)
        with pytest.raises(StorageError, match="the server answered 302"):
            _one(site.uri("a"))


def test_a_server_that_is_not_there_or_talks_nonsense_is_a_storage_error(site: Site) -> None:
    site.handler.held["/a"] = Held(b"", {}, 200)
    site.server.shutdown()
    site.server.socket.close()
    with pytest.raises(StorageError, match="Connection refused"):
        _one(site.uri("a"))


@pytest.mark.parametrize("uri", ["http://", "http:///a", "https://host:nine/", "http://a b/c", "http://[::1"])
def test_uris_without_a_host_are_refused(uri: str) -> None:
    with pytest.raises(InvalidValueError, match=r"host|is no URI"):
        HttpReferences().resolve(uri, checksum=False, limit=1)


def test_passwords_are_refused_and_not_repeated() -> None:
    with pytest.raises(InvalidValueError) as caught:
        HttpReferences().resolve("http://me:secret@host/", checksum=False, limit=1)
    assert "secret" not in str(caught.value)


def test_an_etag_that_no_header_can_hold_is_an_error_of_ours(site: Site) -> None:
    found = ReferencedObject("", site.uri("a"), "x", annex={"etag": '"x\r\nHost: y"'})
    with pytest.raises(StorageError, match="cannot be read"):
        HttpReferences().fetch(found)
