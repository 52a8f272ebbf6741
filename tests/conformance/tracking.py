"""What becomes of references in artifacts, on every scheme alike: tests to inherit."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest

import muniment
from muniment.domain.errors import CorruptError, InvalidValueError, NotFoundError
from tests.conformance.references import Place

NAMES = ("a", "more/b")


class TrackingConformance:
    """Inherit this and give a fixture called ``place``."""

    lists: ClassVar[bool] = True
    """Whether the place can be referred to as a whole; else each of its objects is."""
    keeps: ClassVar[bool] = False
    """Whether the place keeps what was overwritten or deleted."""

    @pytest.fixture(autouse=True)
    def filled(self, place: Place) -> Place:
        for name in NAMES:
            place.put(f"set/{name}", name.encode())
        return place

    def artifact(self, place: Place, *, limit: int | None = None, checksum: bool = True) -> muniment.Artifact:
        artifact = muniment.Artifact("set", type="dataset")
        first = place.put("set/other/first", b"first")
        if self.lists:
            artifact.add_reference(first[: -len("/other/first")], checksum=checksum, max_objects=limit)
            return artifact
        root = first[: -len("other/first")]
        for name in (*NAMES, "other/first"):
            artifact.add_reference(f"{root}{name}", name, checksum=checksum, max_objects=limit)
        return artifact

    def log(self, place: Place) -> muniment.Artifact:
        with muniment.init(project="tracking") as run:
            return run.log_artifact(self.artifact(place)).wait()

    def test_a_change_makes_a_version_and_nothing_else_does(self, place: Place) -> None:
        assert self.log(place).version == "v0"
        assert self.log(place).version == "v0"
        place.put("set/a", b"changed")
        changed = self.log(place)
        assert changed.version == "v1"
        assert sorted(changed.manifest.entries) == ["a", "more/b", "other/first"]

    def test_a_used_draft_is_tracked_by_the_same_rule(self, place: Place) -> None:
        for changed, version in ((False, "v0"), (False, "v0"), (True, "v1")):
            if changed:
                place.put("set/more/b", b"changed")
            with muniment.init(project="tracking") as run:
                assert run.use_artifact(self.artifact(place)).wait().version == version

    def test_a_download_reads_what_was_added(self, place: Place, tmp_path: Path) -> None:
        root = Path(self.log(place).download(str(tmp_path / "out")))
        held = {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}
        assert held == {"a": b"a", "more/b": b"more/b", "other/first": b"first"}

    def test_what_changed_is_refused_or_still_had(self, place: Place, tmp_path: Path) -> None:
        logged = self.log(place)
        place.put("set/a", b"b")
        if self.keeps:
            assert Path(logged.download(str(tmp_path / "out")), "a").read_bytes() == b"a"
            return
        for allowed in (False, True):
            with pytest.raises(CorruptError, match="changed since it was added"):
                logged.download(str(tmp_path / "out"), allow_missing_references=allowed)
        assert not (tmp_path / "out" / "a").exists()

    def test_what_is_gone_is_an_error_unless_it_may_be(
        self, place: Place, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        logged = self.log(place)
        place.remove("set/a")
        if self.keeps:
            assert Path(logged.download(str(tmp_path / "out")), "a").read_bytes() == b"a"
            return
        with pytest.raises(NotFoundError, match="is not there"):
            logged.download(str(tmp_path / "strict"))
        caplog.clear()
        root = Path(logged.download(str(tmp_path / "out"), allow_missing_references=True))
        assert not (root / "a").exists()
        assert (root / "more" / "b").read_bytes() == b"more/b"
        assert "a was left out" in caplog.text

    def test_more_objects_than_asked_for_are_an_error(self, place: Place) -> None:
        limit = 2 if self.lists else 0
        with pytest.raises(InvalidValueError, match=f"Exceeded {limit} objects tracked, pass max_objects"):
            self.artifact(place, limit=limit)
        assert len(self.artifact(place, limit=3).manifest.entries) == 3

    def test_without_checksums_a_location_is_tracked_whatever_it_holds(self, place: Place) -> None:
        for content in (b"one", b"two"):
            place.put("set/a", content)
            with muniment.init(project="tracking") as run:
                logged = run.log_artifact(self.artifact(place, checksum=False)).wait()
            assert logged.version == "v0"
        entries = logged.manifest.entries.values()
        assert [entry.digest for entry in entries] == [entry.ref for entry in entries]
        assert len(entries) == (1 if self.lists else 3)
