"""A replay is the store as it was: the same bytes to the same root, the same answers, and nothing to be written."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from muniment.app import bootstrap, directory, lifecycle, pointers, replay
from muniment.app.config import Config, load
from muniment.app.migrate import Movable
from muniment.app.sdk import session
from muniment.app.store import Store
from muniment.app.telling import history, lineage
from muniment.app.telling.differences import between
from muniment.domain.errors import CorruptError, InvalidValueError, NotFoundError, ReadOnlyError
from muniment.domain.ports import SlotDraft
from muniment.domain.rows import ROWS, RunRow, VersionRow
from tests.acts import Acts, story
from tests.adapters import test_ledger_machine as machine
from tests.app.test_diff import state
from tests.replay import live
from tests.stores import sqlite_ledger

Built = Callable[[int], Path]


@pytest.fixture
def told(own_home: Path) -> Iterator[Store]:
    """Return a store on disk in which nearly everything happened."""
    assert own_home
    store = bootstrap.open_store(load())
    story(store, "SECRET")
    yield store
    store.ledger.close()


def build(store: Store, seq: int, folder: Path) -> Path:
    ledger: Any = store.ledger
    replay.build(ledger, store.config, seq, folder, _target(store.config))
    return folder


def _target(config: Config) -> Callable[[Path], Movable]:
    return lambda home: bootstrap.open_ledger(Config({**config.values, "home": str(home), "ledger": None}, {}))


def opened(folder: Path) -> Store:
    return bootstrap.open_store(load(home=str(folder)))


def require_same_answers(one: Store, at: int, other: Store) -> None:
    """Check that what a store says as of an event is what the replay says, asked in every way that rows can be."""
    assert state(one.ledger, at) == state(other.ledger, at) == state(other.ledger, other.ledger.head().size)
    for kind in ROWS:
        for key, columns in live(other.ledger.dump(), kind):
            named: Any = dict(zip(kind.table.key, key, strict=True))
            assert one.views.find(kind, at=at, **named) == other.views.find(kind, **named)
            row = dict(zip([field.name for field in kind.__attrs_attrs__], columns, strict=True))
            for lookup in kind.table.lookups:
                equal = {name: row[name] for name in lookup.equal}
                if None in equal.values():
                    continue
                there = one.views.select(kind, at=at, order=lookup.order, **equal)
                assert there == other.views.select(kind, order=lookup.order, **equal)
                assert one.views.count(kind, at=at, order=lookup.order, **equal) == len(there)


def test_every_moment_replayed_answers_as_the_store_did(told: Store, tmp_path: Path) -> None:
    size = told.ledger.head().size
    for seq in (0, 1, size // 3, size // 2, size - 1, size):
        other = opened(build(told, seq, tmp_path / str(seq)))
        require_same_answers(told, seq, other)
        with closing(other.ledger) as ledger:
            assert (ledger.head().size, ledger.head().root) == (seq, told.ledger.root(seq))
            assert list(ledger.read()) == list(told.ledger.read(until=seq))
            assert list(ledger.verify()) == []


def test_lineage_history_aliases_and_values_are_those_of_then(told: Store, tmp_path: Path) -> None:
    seq = told.ledger.head().size // 2
    other = opened(build(told, seq, tmp_path / "then"))
    versions = [key[0] for key, _ in live(other.ledger.dump(), VersionRow)]
    assert versions
    for id_ in versions:
        assert lineage.graph(told.views, id_, at=seq) == lineage.graph(other.views, id_)
        assert history.of(other, id_).items == tuple(each for each in history.of(told, id_).items if each.seq <= seq)
    assert list(pointers.of_all(told, seq)) == list(pointers.of_all(other, seq))
    (run,) = [key[0] for key, _ in live(other.ledger.dump(), RunRow)]
    row = other.views.find(RunRow, run_id=run)
    assert row is not None
    assert row.config is not None
    assert other.vault.get_many([row.config]) == {row.config: {"c": "SECRET other config"}}
    other.ledger.close()


def test_the_difference_of_two_replays_is_the_difference_of_the_two_moments(told: Store, tmp_path: Path) -> None:
    size = told.ledger.head().size
    first, last = size // 3, size - 5
    one, other = (opened(build(told, seq, tmp_path / str(seq))) for seq in (first, last))
    before, after = state(one.ledger, first), state(other.ledger, last)
    assert before == state(told.ledger, first)
    assert after == state(told.ledger, last)
    assert list(between(other, first, last)) == list(between(told, first, last))
    one.ledger.close()
    other.ledger.close()


def test_nothing_is_written_to_a_replay(told: Store, tmp_path: Path) -> None:
    folder = build(told, told.ledger.head().size, tmp_path / "then")
    before = {path: path.read_bytes() for path in folder.iterdir() if path.suffix in {".json", ".toml"}}
    other = opened(folder)
    acts = Acts(other)
    way_out = "act on the store that it was made from"
    version = acts.find("model:v3")
    for act in (
        lambda: acts.log("model", "new"),
        lambda: lifecycle.delete(other, version),
        lambda: directory.create_team(other, "new"),
        other.ledger.rebuild,
        lambda: other.ledger.work(lambda transaction: transaction.scratch.put("k", "k", 1)),
        lambda: other.vault.put_many([SlotDraft("o", "f", 1)]),
        lambda: other.vault.destroy(version.artifact.artifact_id),
        lambda: list(other.blobs.delete_many([])),
        lambda: list(other.places.open(str(tmp_path / "elsewhere")).put_many([])),
        lambda: other.signer,
    ):
        with pytest.raises(ReadOnlyError, match=way_out):
            act()
    other.ledger.close()
    assert {path: path.read_bytes() for path in before} == before
    assert not (folder / "signing.key").exists()


def test_the_library_reads_a_replay(told: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seq = told.ledger.head().size
    folder = build(told, seq, tmp_path / "then")
    monkeypatch.setenv("MUNIMENT_HOME", str(folder))
    session.use(None)
    assert session.store().ledger.head().size == seq
    assert Acts(session.store()).find("model:v3").version.index == 3
    session.use(load(home=str(tmp_path / "muniment-home")))
    session.use(None)


def test_others_cannot_read_a_replay(told: Store, tmp_path: Path) -> None:
    folder = build(told, 3, tmp_path / "then")
    assert folder.stat().st_mode & 0o077 == 0
    assert [path.name for path in folder.glob("*.[tj]*") if path.stat().st_mode & 0o077] == []


def test_a_folder_that_holds_something_is_left_alone(told: Store, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("mine")
    with pytest.raises(InvalidValueError, match="is there already — name a folder that is new or empty"):
        build(told, 1, tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["file"]


def test_a_damaged_ledger_makes_no_replay_and_leaves_nothing_behind(told: Store, tmp_path: Path) -> None:
    with closing(sqlite3.connect(told.config.home / "ledger.sqlite3")) as file:
        file.execute("UPDATE events SET state = CAST('{}' AS BLOB) WHERE rowid = 3")
        file.commit()
    with pytest.raises(CorruptError, match="event 3 does not match its leaf"):
        build(told, 5, tmp_path / "then")
    assert [path.name for path in tmp_path.iterdir()] == ["muniment-home"]
    build(told, 2, tmp_path / "then")


def test_rows_that_the_events_do_not_say_make_no_replay(told: Store, tmp_path: Path) -> None:
    with closing(sqlite3.connect(told.config.home / "ledger.sqlite3")) as file:
        file.execute("UPDATE projects SET name = 'forged'")
        file.commit()
    with pytest.raises(CorruptError, match="muniment fsck"):
        build(told, told.ledger.head().size, tmp_path / "then")


def test_a_replay_that_was_changed_or_lacks_its_store_says_so(told: Store, tmp_path: Path) -> None:
    folder = build(told, 9, tmp_path / "then")
    marker = json.loads((folder / replay.MARKER).read_text())
    (folder / replay.MARKER).write_text(json.dumps({**marker, "seq": 8}))
    with pytest.raises(CorruptError, match="make the replay again"):
        opened(folder)
    (folder / replay.MARKER).write_text(json.dumps(marker))
    opened(folder).ledger.close()
    shutil.move(told.config.home / "blobs", tmp_path / "moved")
    with pytest.raises(NotFoundError, match="name it in MUNIMENT_BLOBS"):
        opened(folder)


def test_no_password_is_written_into_a_replay(told: Store, tmp_path: Path) -> None:
    config = Config({**told.config.values, "vault": "postgresql://ada:hidden@db/registry"}, {})
    ledger: Any = told.ledger
    replay.build(ledger, config, 3, tmp_path / "then", _target(told.config))
    assert "hidden" not in (tmp_path / "then" / "config.toml").read_text()
    assert 'vault = "postgresql://ada@db/registry"' in (tmp_path / "then" / "config.toml").read_text()


class OnSqlite(machine.OnSqlite):
    """Random acts of two people, and at the end replays of some of its moments."""

    def teardown(self) -> None:
        if not hasattr(self, "store"):
            return
        size = self.store.ledger.head().size
        for seq in (size, size // 2):
            target = sqlite_ledger(self.folder / f"{seq}.sqlite3", self.store.clock)
            ledger: Any = self.store.ledger
            with closing(target), ledger.cargo() as cargo:
                target.adopt(cargo.until(seq))
                assert target.head().root == self.store.ledger.root(seq)
                assert state(target, seq) == state(self.store.ledger, seq)
        self.store.ledger.close()
        shutil.rmtree(self.folder)


TestRandomActs = OnSqlite.TestCase
TestRandomActs.settings = settings(max_examples=5, stateful_step_count=15, deadline=None)
