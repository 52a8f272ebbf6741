"""What every reference store promises: tests to inherit."""

from __future__ import annotations

from typing import Protocol

import pytest

from muniment.domain.errors import InvalidValueError, NotFoundError
from muniment.domain.ports import ReferencedObject, ReferenceStore

LARGE = bytes(range(256)) * 12_289


class Place(Protocol):
    """Where objects lie that can be referred to."""

    def put(self, name: str, content: bytes) -> str:
        """Put an object there, or another in its place, and return its URI."""

    def remove(self, name: str) -> None: ...


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

    @pytest.mark.parametrize("name", ["ä b.txt", "100%", "a+b&c=d", "%2F", "日本", "semi;colon"])
    def test_names_of_every_kind_are_reached_percent_encoded(
        self, store: ReferenceStore, place: Place, name: str
    ) -> None:
        (found,) = store.resolve(place.put(name, name.encode()), checksum=True, limit=1)
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
