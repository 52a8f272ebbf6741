"""What a thing is called is found with few questions, however much happened to it."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import define

from muniment.app import lifecycle
from muniment.app.labels import Labels
from muniment.domain.ports import Views
from tests.app.scene import Scene


@define
class Counting:
    """Rows that count how often they are asked."""

    views: Views
    asked: int = 0

    def find(self, *args: Any, **more: Any) -> Any:
        self.asked += 1
        return self.views.find(*args, **more)

    def select(self, *args: Any, **more: Any) -> Any:
        self.asked += 1
        return self.views.select(*args, **more)

    def gather(self, *args: Any, **more: Any) -> Any:
        self.asked += 1
        return self.views.gather(*args, **more)

    def made_from(self, *args: Any, **more: Any) -> Any:
        self.asked += 1
        return self.views.made_from(*args, **more)

    def referring_to(self, *args: Any, **more: Any) -> Any:
        self.asked += 1
        return self.views.referring_to(*args, **more)

    def count(self, *args: Any, **more: Any) -> Any:
        self.asked += 1
        return self.views.count(*args, **more)


@pytest.mark.parametrize("gone", [False, True])
def test_the_label_of_an_artifact_costs_the_same_after_many_events(scene: Scene, *, gone: bool) -> None:
    for number in range(60):
        scene.log("much", str(number), "best")
    row = scene.artifact("much")
    if gone:
        lifecycle.delete_artifact(scene.store, row, scene.team)
    views = Counting(scene.views)
    label = Labels(views).of(row.artifact_id)
    assert label is not None
    assert (label.path, label.kind, label.gone) == ("local/uncategorized/much", "artifact", gone)
    assert views.asked < 30
    assert Labels(scene.views).of("0" * 32) is None
