"""Of what an erasure found, all was erased, kept or is left: the figures, and what is there afterwards."""

from __future__ import annotations

from typing import TypeAlias

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from muniment.app import approvals, directory
from muniment.app.erasing import data_subjects, requests
from muniment.app.erasing.executing import Eraser
from muniment.app.files.download import manifest_of
from muniment.domain.approval import Act
from muniment.domain.request import Exemption, Right, Verdict
from muniment.domain.values import Role
from tests.app.scene import Scene
from tests.stores import Clock, memory_store

PATHS = ("a", "b", "c")
Told: TypeAlias = tuple[dict[str, str], frozenset[str], frozenset[str]]
FILES = st.dictionaries(st.sampled_from(PATHS), st.sampled_from(["x", "y", "z", "of all"]), min_size=1)
"""Versions of few contents, so that they share them."""


@st.composite
def stories(draw: st.DrawFn) -> list[Told]:
    """Draw versions: their files, the paths that are about the person, and those of them that an exemption keeps."""
    found = []
    for number in range(draw(st.integers(1, 4))):
        files = draw(FILES) | {"own": f"only {number}"}
        about = draw(st.frozensets(st.sampled_from(sorted(files))))
        found.append((files, about, frozenset(path for path in sorted(about) if draw(st.booleans()))))
    return found


def decided(scene: Scene, subject_id: str, kept: list[str]) -> str:
    request_id = requests.receive(scene.store, Right.ERASURE, subject_id, text="forget me").request_id
    requests.identify(scene.store, request_id, "passport")
    requests.scope(scene.store, request_id)
    approvals.approve(scene.by("ben").store, approvals.propose(scene.store, Act.ERASE, request_id))
    verdict = Verdict.PARTIAL if kept else Verdict.APPROVED
    exemption, ground = (Exemption.OBLIGATION, "tax law") if kept else (None, None)
    requests.decide(scene.store, request_id, verdict, kept=kept, exemption=exemption, ground=ground)
    return request_id


@settings(max_examples=25)
@given(story=stories())
@example(story=[({"a": "x", "own": "1"}, frozenset("a"), frozenset()), ({"b": "x"}, frozenset("b"), frozenset("b"))])
@example(story=[({"a": "x", "b": "x"}, frozenset("ab"), frozenset()), ({"a": "x"}, frozenset(), frozenset())])
@example(story=[({"a": "x", "b": "x"}, frozenset("ab"), frozenset("b"))])
@example(story=[({"a": "x", "own": "1"}, frozenset("a"), frozenset("a"))])
def test_what_was_found_was_erased_or_kept_or_is_left(
    story: list[Told], tmp_path_factory: pytest.TempPathFactory
) -> None:
    store = memory_store(tmp_path_factory.mktemp("store"))
    assert isinstance(store.clock, Clock)
    scene = Scene(store, store.clock)
    directory.set_organisation_role(store, "local", "ben", Role.ADMIN)
    ann = data_subjects.register(store, "ann").subject_id
    ids = [scene.log(f"people-{number}", files).version_id for number, (files, _, _) in enumerate(story)]
    keeps = {(id_, path) for id_, (_, _, kept) in zip(ids, story, strict=True) for path in kept}
    for id_, (_, about, _) in zip(ids, story, strict=True):
        if about:
            data_subjects.attach_entries(store, ann, id_, sorted(about))
    entries = data_subjects.attached(scene.views, ann).entries
    request_id = decided(scene, ann, [row.entry_id for row in entries if (row.version_id, row.path) in keeps])
    Eraser(store, request_id).execute()

    stored = {store.blobs.get(digest) for digest in scene.blobs()}
    left = [files[path] for files, about, kept in story for path in about - kept if files[path].encode() in stored]
    row = requests.request(scene.views, request_id)
    found = sum(len(about) for _, about, _ in story)
    assert (row.found, row.residual) == (found, len(left))
    assert row.erased == found - len(keeps) - len(left)
    for number, (files, about, kept) in enumerate(story):
        manifest = manifest_of(store, scene.find(f"people-{number}"))
        assert {entry.path for entry in manifest.entries()} == set(files) - (about - kept)
