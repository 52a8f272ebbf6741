"""Ten thousand versions that are due at once go in batches, and whoever is interrupted goes on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import define, evolve

from muniment.app import manifests
from muniment.app.collecting import collect, purging
from muniment.app.collecting.condemning import CONDEMNED
from muniment.app.transact import Request, Steps
from muniment.domain.artifact import VersionCreated
from muniment.domain.values import Digest, Ttl, VersionId, numbering_stream
from tests.app.purged import GRACE
from tests.app.scene import DAY, Scene
from tests.stores import Clock, sqlite_store

MANY = 10_000
CONTENTS = 50
"""How many different contents they have, so that making them takes little."""


class Killed(BaseException):
    """The process ends here."""


@define
class Counted:
    """A ledger in front of another, which counts commands by name, and ends the process before one of them."""

    ledger: Any
    counts: Counter[str]
    last: tuple[str, int] = ("", 0)

    def transact(self, command: Any, decide: Callable[..., Any]) -> Any:
        act = command.request[0]
        if (act, self.counts[act]) == self.last:
            raise Killed
        self.counts[act] += 1
        return self.ledger.transact(command, decide)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.ledger, name)


def make_many(scene: Scene) -> None:
    """Make versions that live for a day, many in one command."""
    scene.log("images", "the first")
    written = [scene.bring({"data.txt": f"content {number}"}) for number in range(CONTENTS)]
    stream = numbering_stream(scene.artifact("images").artifact_id)

    def made(number: int) -> VersionCreated:
        one: manifests.Written = written[number % CONTENTS]
        id_, digest = VersionId(f"{number:032x}"), Digest(f"{number:064x}")
        return VersionCreated(id_, digest, one.manifest, one.size, one.entries, ttl=Ttl.after(DAY))

    def decide(steps: Steps) -> None:
        steps.append(stream, *map(made, range(MANY)))

    scene.store.transact(Request("make many"), decide)


def cut_short(scene: Scene, *last: Any) -> Counter[str]:
    """Collect until the process ends before one command; return how many commands there were."""
    counts: Counter[str] = Counter()
    with pytest.raises(Killed):
        collect.act(evolve(scene.store, ledger=Counted(scene.store.ledger, counts, last)))
    return counts


def test_ten_thousand_versions_due_at_once_go_in_batches_and_go_on_after_interruptions(tmp_path: Path) -> None:
    store = sqlite_store(tmp_path)
    assert isinstance(store.clock, Clock)
    scene, batches = Scene(store, store.clock), MANY // purging.AT_ONCE
    make_many(scene)
    scene.pass_time(4 * DAY)
    assert cut_short(scene, "expire", batches // 2)["expire"] == batches // 2
    assert len(scene.indexes("images")) == 1 + MANY // 2
    assert collect.act(scene.store).deleted == MANY // 2
    assert scene.indexes("images") == [0]
    scene.pass_time(GRACE + 3 * DAY)
    assert cut_short(scene, "purge", batches // 2)["purge"] == batches // 2
    report = collect.act(scene.store)
    assert (report.purged, report.failed) == (MANY // 2, ())
    assert len(scene.blobs()) == len(scene.contents("images:v0")) * 3
    assert scene.store.ledger.scratch.items(purging.TALLY) == scene.store.ledger.scratch.items(CONDEMNED) == []
    assert collect.plan(scene.store).due == ()
    store.ledger.close()
