"""What every reference store promises: tests to inherit. What becomes of it in artifacts is in ``tracking.py``."""

from __future__ import annotations

from typing import Protocol

import pytest

from muniment.domain.errors import InvalidValueError, NotFoundError
from muniment.domain.ports import ReferencedObject, ReferenceStore

LARGE = bytes(range(256)) * 12_289
ODD = [
    *("ä b.txt", "100%", "a+b&c=d", "%2F", "a%20b", "日本", "semi;colon", "two  spaces", "q?x=1", "sharp#name", "a:b"),
    *("[x]", "{y}", "quote'\"", "~", "back`tick", "$(x)", "*", "@at", "-", ".hidden", "..."),
]
"""Names that some tool would read as something else."""


class Place(Protocol):
    """Where objects lie that can be referred to."""

    def put(self, name: str, content: bytes) -> str:
        """Put an object there, or another in its place, and return its URI."""

    def remove(self, name: str) -> None: ...


class Folder(Place, Protocol):
    """A place that can be referred to as a whole, and empty at first."""

    def uri(self, name: str) -> str:
        """Return the URI of what is called so; ``""`` is the place itself."""


class Versions(Folder, Protocol):
    """A place that keeps what was overwritten or deleted."""

    def version(self, name: str) -> str:
        """Return the URI of this very version of an object."""


class ReferencesConformance:
    """Inherit this and give fixtures called ``store`` and ``place``."""

    def test_an_object_has_a_size_and_a_digest_of_its_content(self, store: ReferenceStore, place: Place) -> None:
        (found,) = store.resolve(place.put("a", b"hello"), checksum=True, limit=1)
        (again,) = store.resolve(place.put("b", b"hello"), checksum=True, limit=1)
        (other,) = store.resolve(place.put("c", b"world"), checksum=True, limit=1)
        assert (found.path, found.size) == ("", 5)
        assert found.digest == again.digest != other.digest

    def test_a_change_in_place_changes_the_digest(self, store: ReferenceStore, place: Place) -> None:
        (before,) = store.resolve(place.put("a", b"hello"), checksum=True, limit=1)
        (after,) = store.resolve(place.put("a", b"other"), checksum=True, limit=1)
        assert before.uri == after.uri
        assert before.digest != after.digest

    def test_without_checksum_the_uri_is_all_that_is_known(self, store: ReferenceStore, place: Place) -> None:
        uri = place.put("a", b"hello")
        assert list(store.resolve(uri, checksum=False, limit=1)) == [ReferencedObject("", uri, uri)]

    @pytest.mark.parametrize("checksum", [True, False])
    def test_more_objects_than_the_limit_are_an_error(
        self, store: ReferenceStore, place: Place, *, checksum: bool
    ) -> None:
        with pytest.raises(InvalidValueError, match="Exceeded 0 objects tracked, pass max_objects to add_reference"):
            list(store.resolve(place.put("a", b"hello"), checksum=checksum, limit=0))

    @pytest.mark.parametrize("content", [b"", b"hello", LARGE], ids=["empty", "small", "large"])
    @pytest.mark.parametrize("checksum", [True, False])
    def test_what_was_found_can_be_fetched(
        self, store: ReferenceStore, place: Place, content: bytes, *, checksum: bool
    ) -> None:
        (found,) = store.resolve(place.put("a", content), checksum=checksum, limit=1)
        with store.fetch(found) as stream:
            assert stream.read() == content

    def test_what_is_not_there_is_not_found(self, store: ReferenceStore, place: Place) -> None:
        uri = place.put("a", b"hello")
        (found,) = store.resolve(uri, checksum=True, limit=1)
        place.remove("a")
        with pytest.raises(NotFoundError, match="is not there") as caught:
            list(store.resolve(uri, checksum=True, limit=1))
        assert uri in str(caught.value)
        with pytest.raises(NotFoundError, match="is not there"):
            store.fetch(found)

    @pytest.mark.parametrize("name", ODD)
    def test_names_of_every_kind_are_reached(self, store: ReferenceStore, place: Place, name: str) -> None:
        uri = place.put(name, name.encode())
        assert store.name_of(uri) == name
        (found,) = store.resolve(uri, checksum=True, limit=1)
        with store.fetch(found) as stream:
            assert stream.read() == name.encode()

    @pytest.mark.parametrize("uri", ["ftp://host/a", "/a/path", "", "s3://bucket/key"])
    def test_other_schemes_are_refused(self, store: ReferenceStore, uri: str) -> None:
        with pytest.raises(InvalidValueError, match="is none of"):
            list(store.resolve(uri, checksum=True, limit=1))

    @pytest.mark.parametrize("rest", ["//localhost/a\nb", "//localhost/a\x00b", "//localhost/\ud800"])
    def test_control_characters_are_refused_rather_than_dropped(self, store: ReferenceStore, rest: str) -> None:
        with pytest.raises(InvalidValueError, match="control character"):
            list(store.resolve(f"{store.schemes[0]}:{rest}", checksum=False, limit=1))

    @pytest.mark.parametrize("rest", ["h/a\nb", "[h/b", "h\u2100/c", "x:y@[/d"])
    @pytest.mark.parametrize("scheme", ["", "other"])
    def test_a_password_in_a_uri_that_is_refused_is_not_repeated(
        self, store: ReferenceStore, scheme: str, rest: str
    ) -> None:
        with pytest.raises(InvalidValueError) as caught:
            list(store.resolve(f"{scheme or store.schemes[0]}://me:secret@{rest}", checksum=False, limit=1))
        assert "secret" not in f"{caught.value}{caught.value.__cause__}"


def below(store: ReferenceStore, uri: str, limit: int = 10_000) -> dict[str, ReferencedObject]:
    """Return what is found at or below a URI, by its path."""
    return {each.path: each for each in store.resolve(uri, checksum=True, limit=limit)}


def read(store: ReferenceStore, found: ReferencedObject) -> bytes:
    """Return what a found object holds."""
    with store.fetch(found) as stream:
        return stream.read()


class FoldersConformance:
    """For stores that can list; inherit this too and give fixtures called ``store`` and ``place``, a ``Folder``."""

    @pytest.mark.parametrize("end", ["", "/"])
    def test_a_prefix_means_what_a_folder_means(self, store: ReferenceStore, place: Folder, end: str) -> None:
        names = ["data/a/c", "data/a-b", "data/a.b", "data/ä", "data/Z", "data/10", "data/9", "data/empty"]
        for name in [*names, "data2/x", "data.txt", "datA/y", "other"]:
            place.put(name, b"" if name == "data/empty" else name.encode())
        found = below(store, place.uri("data") + end)
        assert {f"data/{path}": each.uri for path, each in found.items()} == {name: place.uri(name) for name in names}
        assert found.pop("empty").size == 0
        assert all(read(store, each) == f"data/{path}".encode() for path, each in found.items())

    def test_a_place_is_referred_to_as_a_whole(self, store: ReferenceStore, place: Folder) -> None:
        for name in ("a", "b/c", "b/d/e"):
            place.put(name, name.encode())
        for uri in {place.uri(""), place.uri("").rstrip("/") + "/"}:
            found = below(store, uri)
            assert {path: read(store, each) for path, each in found.items()} == {
                name: name.encode() for name in ("a", "b/c", "b/d/e")
            }

    def test_listed_objects_are_what_they_are_alone(self, store: ReferenceStore, place: Folder) -> None:
        for at, name in enumerate(ODD):
            place.put(f"odd/{name}/{at}", b"x")
            place.put(f"odd/in {name}", name.encode())
        found = below(store, place.uri("odd"))
        assert sorted(found) == sorted([f"{name}/{at}" for at, name in enumerate(ODD)] + [f"in {name}" for name in ODD])
        for name in ODD:
            listed = found[f"in {name}"]
            assert read(store, listed) == name.encode()
            (single,) = store.resolve(listed.uri, checksum=True, limit=1)
            assert (single.digest, single.size, single.annex) == (listed.digest, listed.size, listed.annex)

    def test_the_limit_counts_what_is_found(self, store: ReferenceStore, place: Folder) -> None:
        for name in ("data/a", "data/b", "data/c/d", "data2"):
            place.put(name, b"x")
        assert len(below(store, place.uri("data"), limit=3)) == 3
        with pytest.raises(InvalidValueError, match="Exceeded 2 objects tracked, pass max_objects to add_reference"):
            below(store, place.uri("data"), limit=2)

    def test_what_did_not_change_is_found_the_same(self, store: ReferenceStore, place: Folder) -> None:
        for name in ("data/a", "data/b", "data/c/d"):
            place.put(name, name.encode())
        before = below(store, place.uri("data"))
        assert below(store, place.uri("data")) == before
        place.put("data/b", b"other!")
        place.put("data/new", b"")
        place.remove("data/c/d")
        after = below(store, place.uri("data"))
        assert sorted(after) == ["a", "b", "new"]
        assert after["a"] == before["a"]
        assert after["b"].digest != before["b"].digest

    def test_a_location_without_checksums_is_no_object(self, store: ReferenceStore, place: Folder) -> None:
        place.put("data/a", b"x")
        uri = place.uri("data")
        assert list(store.resolve(uri, checksum=False, limit=1)) == [ReferencedObject("", uri, uri)]
        with pytest.raises(InvalidValueError, match="is a folder"):
            store.fetch(ReferencedObject("", uri, uri))

    @pytest.mark.parametrize("name", ["nothing", "nothing/", "data/a/", "dat"])
    def test_where_nothing_is_nothing_is_found(self, store: ReferenceStore, place: Folder, name: str) -> None:
        place.put("data/a", b"x")
        with pytest.raises(NotFoundError, match="is not there"):
            below(store, place.uri(name))


class BucketsConformance(FoldersConformance):
    """For stores that know objects only, and folders by their names; ``place`` is a bucket."""

    def test_objects_that_stand_for_folders_are_left_out(self, store: ReferenceStore, place: Folder) -> None:
        for name in ("data/", "data/b/"):
            place.put(name, b"")
        place.put("data/b/x", b"x")
        assert list(below(store, place.uri("data"))) == ["b/x"]

    def test_an_object_comes_before_a_folder_of_its_name(self, store: ReferenceStore, place: Folder) -> None:
        place.put("data", b"object")
        place.put("data/a", b"below")
        (found,) = store.resolve(place.uri("data"), checksum=True, limit=1)
        assert read(store, found) == b"object"
        assert list(below(store, place.uri("data/"))) == ["a"]

    def test_a_bucket_that_is_not_there_is_said(self, store: ReferenceStore) -> None:
        for rest in ("", "/", "/key"):
            with pytest.raises(NotFoundError, match=r"no-such-bucket.* is not there"):
                below(store, f"{store.schemes[0]}://no-such-bucket{rest}")


class VersionsConformance:
    """For stores that keep versions; inherit this and give fixtures called ``store`` and ``versions``."""

    def test_the_very_version_is_fetched_whatever_came_later(self, store: ReferenceStore, versions: Versions) -> None:
        (single,) = store.resolve(versions.put("data/a", b"first"), checksum=True, limit=1)
        listed = below(store, versions.uri("data"))["a"]
        assert listed.annex == single.annex
        assert listed.annex["versionID"]
        versions.put("data/a", b"second")
        assert read(store, single) == read(store, listed) == b"first"
        versions.remove("data/a")
        assert read(store, listed) == b"first"
        with pytest.raises(NotFoundError):
            below(store, versions.uri("data/a"))

    def test_a_version_in_the_uri_is_meant(self, store: ReferenceStore, versions: Versions) -> None:
        versions.put("data/a", b"old")
        uri = versions.version("data/a")
        versions.put("data/a", b"newer")
        (found,) = store.resolve(uri, checksum=True, limit=1)
        assert (found.uri, found.size, store.name_of(uri)) == (uri, 3, "a")
        assert read(store, found) == read(store, ReferencedObject("", uri, uri)) == b"old"

    def test_names_that_look_like_versions_are_names(self, store: ReferenceStore, versions: Versions) -> None:
        names = ["a?versionId=1", "a#1", "a?generation=1"]
        for name in names:
            versions.put(f"data/{name}", name.encode())
        found = below(store, versions.uri("data"))
        assert sorted(found) == sorted(names)
        for name, each in found.items():
            assert read(store, each) == name.encode()
            assert below(store, each.uri)[""].digest == each.digest
            assert store.name_of(each.uri) == name
