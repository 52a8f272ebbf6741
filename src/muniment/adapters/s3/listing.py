"""Listing what lies below a prefix, several folders at a time, in the order of the keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from queue import Full, Queue
from threading import Event
from typing import Any, Final

from attrs import define, field

from muniment.adapters.s3.client import S3Client
from muniment.domain.errors import StorageError

FOLDERS_AT_ONCE: Final = 8
PAGES_AHEAD: Final = 4
MOST_FOLDERS: Final = 50
"""Where there are more folders than that, a request for each would be more requests, not fewer."""
SECONDS: Final = 0.05

Found = Mapping[str, Any]


@define(eq=False)
class _Feed:
    """The pages of one folder, listed ahead of who reads them."""

    pages: Iterator[list[Found]]
    stop: Event
    ready: Queue[list[Found] | StorageError | None] = field(factory=lambda: Queue(PAGES_AHEAD))

    def run(self) -> None:
        """List until the end, or until nobody wants more."""
        try:
            for page in self.pages:
                if not self._hand_over(page):
                    return
        except StorageError as error:
            self._hand_over(error)
        else:
            self._hand_over(None)

    def __iter__(self) -> Iterator[Found]:
        while (page := self.ready.get()) is not None:
            if isinstance(page, StorageError):
                raise page
            yield from page

    def _hand_over(self, page: list[Found] | StorageError | None) -> bool:
        while not self.stop.is_set():
            try:
                self.ready.put(page, timeout=SECONDS)
            except Full:
                continue
            return True
        return False


@define(eq=False)
class Listing:
    """The objects of a bucket: as they are now, with ``versions`` each with the id of its latest version."""

    client: S3Client
    bucket: str
    versions: bool

    def below(self, prefix: str) -> Iterator[Found]:
        """Yield every object whose key begins with *prefix*."""
        pages = self._raw(prefix)
        first = next(pages)
        found = self._objects(first)
        folders = {
            str(each["Key"])[len(prefix) :].partition("/")[0] for each in found if "/" in each["Key"][len(prefix) :]
        }
        if first.get("IsTruncated") and len(folders) <= MOST_FOLDERS:
            objects, inner = self._level(prefix)
            while not objects and len(inner) == 1:
                objects, inner = self._level(inner[0])
            if len(inner) <= MOST_FOLDERS:
                yield from self._by_folder(objects, inner)
                return
        yield from found
        for page in pages:
            yield from self._objects(page)

    def _by_folder(self, objects: list[Found], folders: list[str]) -> Iterator[Found]:
        """Yield the objects of one level, and those of the folders in it, which are listed at the same time."""
        stop = Event()
        feeds = {folder: _Feed(map(self._objects, self._raw(folder)), stop) for folder in folders}
        by_key: dict[str, Found | None] = dict.fromkeys(folders) | {str(each["Key"]): each for each in objects}
        with ThreadPoolExecutor(FOLDERS_AT_ONCE) as pool:
            try:
                for folder in sorted(folders):
                    pool.submit(feeds[folder].run)
                for key in sorted(by_key):
                    single = by_key[key]
                    yield from (feeds[key] if single is None else [single])
            finally:
                stop.set()
                pool.shutdown(wait=True, cancel_futures=True)

    def _level(self, prefix: str) -> tuple[list[Found], list[str]]:
        """List one level, as far as it has no more folders than are worth a request each."""
        objects: list[Found] = []
        folders: list[str] = []
        for page in self._raw(prefix, Delimiter="/"):
            objects += self._objects(page)
            folders += [str(each["Prefix"]) for each in page.get("CommonPrefixes", [])]
            if len(folders) > MOST_FOLDERS:
                break
        return objects, folders

    def _raw(self, prefix: str, **more: object) -> Iterator[dict[str, Any]]:
        operation = "list_object_versions" if self.versions else "list_objects_v2"
        return self.client.pages(operation, Bucket=self.bucket, Prefix=prefix, **more)

    def _objects(self, page: Mapping[str, Any]) -> list[Found]:
        if self.versions:
            return [each for each in page.get("Versions", []) if each.get("IsLatest")]
        return list(page.get("Contents", []))
