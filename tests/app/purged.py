"""Versions on their way out, and stores of blobs that do not do what they say."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from attrs import evolve, field, frozen

from muniment.domain.evidence import Copy, Search
from muniment.domain.ports import BlobResult
from muniment.domain.values import VersionId
from muniment.domain.version import State
from tests.app.scene import DAY, SECOND, Scene

GRACE = 7 * DAY


def due(scene: Scene, name: str = "images", content: str = "one") -> VersionId:
    """Log a version and delete it, so long ago that it is to be purged."""
    logged = scene.log(name, content)
    scene.delete(f"{name}:v{logged.index}", delete_aliases=True)
    scene.pass_time(GRACE + SECOND)
    return logged.version_id


def state(scene: Scene, version_id: Any) -> State:
    return State(scene.version(version_id).state)


def last(scene: Scene, kind: type) -> Any:
    return [each.event for each in scene.since(0) if isinstance(each.event, kind)][-1]


@frozen
class Around:
    """A store of blobs in front of another; what is done *before* a deletion or a search, or instead of them."""

    blobs: Any
    before_delete: list[Callable[[], object]] = field(factory=list)
    before_search: list[Callable[[], object]] = field(factory=list)
    refused: dict[str, Exception] = field(factory=dict)
    lies: bool = False
    copies: list[Copy] = field(factory=list)

    def delete_many(self, digests: Any) -> Iterator[BlobResult]:
        doomed = [*digests]
        doing, self.before_delete[:] = [*self.before_delete], []
        for act in doing:
            act()
        for digest in doomed:
            if digest in self.refused or self.lies:
                yield BlobResult(digest, done=self.lies, error=self.refused.get(digest))
            else:
                yield from self.blobs.delete_many([digest])

    def search(self, digests: Any) -> Search:
        doing, self.before_search[:] = [*self.before_search], []
        for act in doing:
            act()
        found: Search = self.blobs.search(digests)
        return evolve(found, copies=(*found.copies, *(copy for copy in self.copies if copy.digest in digests)))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.blobs, name)


def around(scene: Scene, **said: Any) -> Scene:
    return evolve(scene, store=evolve(scene.store, blobs=Around(scene.store.blobs, **said)))
