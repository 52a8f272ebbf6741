"""Whatever is redacted, everything that reads goes on reading, and what was proved stays proved."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from muniment.adapters import signing
from muniment.app import bootstrap, clock, listing, replay, stats
from muniment.app import fsck as checking
from muniment.app.config import load
from muniment.app.log_artifact import Draft, log
from muniment.app.migrate import ledger as carry
from muniment.app.proving.proofs import Prover, shown
from muniment.app.proving.verifying import Trust, verify
from muniment.app.store import Store
from muniment.app.telling import diff, history, lineage
from muniment.app.telling.differences import between
from muniment.domain.rows import ROWS, ArtifactRow, ProjectRow, RegistryRow, VersionRow
from tests.acts import Acts, digest_of, story
from tests.app.test_replay import build, opened
from tests.redacting import redact, telling
from tests.replay import every, live, require_past_and_present
from tests.stores import sqlite_ledger

PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
"""A store takes a second to be read whole: what fails is told as it was found."""


@pytest.fixture
def told(own_home: Path) -> Iterator[Store]:
    """Return a store on disk in which nearly everything happened."""
    assert own_home
    store = bootstrap.open_store(load())
    story(store, "SECRET")
    yield store
    store.ledger.close()


def read_everything(store: Store) -> None:
    """Ask the store in every way that it can be asked."""
    size = store.ledger.head().size
    assert len(list(history.tell(store, store.ledger.read()))) > 0
    for at in (None, size // 2, size):
        for kind in ROWS:
            for key, _ in live(store.ledger.dump(), kind, at):
                named: Any = dict(zip(kind.table.key, key, strict=True))
                assert store.views.find(kind, at=at, **named) is not None
    for project in every(store.ledger, ProjectRow):
        listing.runs(store.views, project.project_id)
        listing.types(store.views, project.project_id)
    for artifact in every(store.ledger, ArtifactRow):
        listing.versions(store.views, artifact.artifact_id)
    for registry in every(store.ledger, RegistryRow):
        listing.collections(store.views, registry.registry_id)
    for version in every(store.ledger, VersionRow):
        lineage.graph(store.views, version.version_id)
    list(between(store, 0, size))
    list(diff.rows(store, diff.Window(size // 3, size)))
    stats.measure(store)


@pytest.fixture(scope="module")
def stories(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a store in which nearly everything happened, to be copied."""
    home = tmp_path_factory.mktemp("story")
    store = bootstrap.open_store(load(home=str(home), actor="ada"))
    story(store, "SECRET")
    store.ledger.close()
    return home


@settings(max_examples=8, deadline=None, phases=PHASES)
@given(data=st.data())
def test_any_subset_can_be_redacted(
    stories: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("copy") / "home"
    shutil.copytree(stories, folder)
    store = bootstrap.open_store(load(home=str(folder), actor="ada"))
    seqs, project = telling(store), Acts(store).project
    size = store.ledger.head().size
    roots = [store.ledger.root(at) for at in range(size + 1)]
    chosen = data.draw(st.sets(st.sampled_from(seqs), min_size=1))
    redact(store, chosen)
    assert [store.ledger.root(at) for at in range(size + 1)] == roots
    assert telling(store) == [seq for seq in seqs if seq not in chosen]
    require_past_and_present(store, step=11)
    read_everything(store)
    digest = digest_of("after")
    draft = Draft(name="after", type="model", digest=digest, manifest=digest, size=1, entries=1, aliases=("best",))
    log(store, project, draft)
    assert list(store.ledger.verify()) == []
    store.ledger.close()


def test_every_proof_issued_before_stays_valid(told: Store, tmp_path: Path) -> None:
    trust = Trust.of(signing.Notary(), told.signer.verifier_key())
    size, prover = told.ledger.head().size, Prover.of(told)
    files = [tmp_path / f"{seq}.tlog-proof" for seq in range(1, size + 1)]
    for seq, file in enumerate(files, 1):
        file.write_text(prover.event(seq, words=True).render(), "utf-8", newline="")
    before = [verify(file, trust) for file in files]
    redact(told, telling(told))
    assert [verify(file, trust) for file in files] == before
    prover = Prover.of(told)
    for seq in range(1, size + 1):
        event = shown(prover.event(seq, words=True))
        assert (event.seq, event.words) == (seq, None)


def test_a_replay_of_the_time_before_is_sound(told: Store, tmp_path: Path) -> None:
    size = told.ledger.head().size
    chosen = telling(told)[::2]
    redact(told, chosen)
    for seq in (size // 2, size, size + 1):
        other = opened(build(told, seq, tmp_path / str(seq)))
        assert [fault for fault in checking.check(other, fast=True) if fault.kind == "ledger"] == []
        found = replay.found_in(tmp_path / str(seq))
        assert found is not None
        assert list(found.redacted) == ([each for each in chosen if each <= seq] if seq <= size else [])
        other.ledger.close()


def test_redactions_are_carried_to_another_ledger(told: Store, tmp_path: Path) -> None:
    chosen = telling(told)[::3]
    redact(told, chosen)
    target = sqlite_ledger(tmp_path / "other.sqlite3", clock.now)
    source: Any = told.ledger
    carry(source, target)
    assert list(target.verify()) == []
    assert [seq for seq in chosen if target.leaf(seq).words is not None] == []
    assert list(target.dump()) == list(told.ledger.dump())
    target.close()
