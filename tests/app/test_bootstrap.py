"""Opening a store: what is made, for whom, and what each obstacle is called."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from muniment.app import bootstrap, config, directory
from muniment.app.proving import checkpoints, keys
from muniment.app.store import Store
from muniment.domain.errors import InvalidNameError, InvalidValueError, KeyFileError, MunimentError, StorageError
from tests.app.scene import Scene
from tests.stores import Clock


def opened(**arguments: str | None) -> Store:
    return bootstrap.open_store(config.load(None, **arguments))


def use(**arguments: str | None) -> Scene:
    """Open the store, log something into it and close it."""
    store = opened(**arguments)
    scene = Scene(store, Clock())
    scene.log("images", "one", metadata={"a": 1})
    store.ledger.close()
    store.vault.close()  # type: ignore[attr-defined]
    return scene


def test_a_new_store_belongs_to_its_owner_alone(own_home: Path) -> None:
    old = os.umask(0)
    try:
        use()
    finally:
        os.umask(old)
    assert own_home.stat().st_mode & 0o777 == 0o700
    for path in own_home.iterdir():
        assert path.stat().st_mode & 0o777 in {0o600, 0o700} or path.name.startswith("ledger"), path.name
    assert (own_home / "master.key").stat().st_mode & 0o777 == 0o600
    assert {path.name for path in own_home.iterdir()} >= {
        *("ledger.sqlite3", "vault.sqlite3", "keys.sqlite3", "master.key", "blobs"),
    }


def test_a_store_opened_again_is_the_same() -> None:
    first, second = use(), use()
    assert first.store.ledger.origin == second.store.ledger.origin
    assert first.store.context.actor == second.store.context.actor


def test_machines_that_share_a_ledger_can_share_the_key_that_signs(tmp_path: Path) -> None:
    shared = {"ledger": str(tmp_path / "ledger.sqlite3"), "vault": str(tmp_path / "vault"), "actor": "ada"}
    shared |= {"key_file": str(tmp_path / "keys" / "master.key"), "blobs": str(tmp_path / "blobs")}
    signing = str(tmp_path / "keys" / "signing.key")
    (tmp_path / "keys").mkdir(mode=0o700)
    one, two = (opened(home=str(tmp_path / name), signing_key=signing, **shared) for name in ("one", "two"))
    own = opened(home=str(tmp_path / "three"), **shared)
    first = one.signer.verifier_key()
    assert two.signer.verifier_key() == first != own.signer.verifier_key()
    new = keys.rotate(two)
    again = opened(home=str(tmp_path / "one"), signing_key=signing, **shared)
    assert again.signer.verifier_key() == new
    assert keys.check(
        checkpoints.make(again),
        keys.follow(first, again.signer.chain(), again.notary.open_note),
        again.notary.open_note,
    )
    assert not (tmp_path / "one" / "signing.key").exists()


def test_who_opens_it_is_its_admin_and_who_comes_later_is_not() -> None:
    use(actor="ada")
    mallory = opened(actor="mallory")
    assert directory.team_role(mallory.views, directory.team(mallory.views, "local"), mallory.context.actor) is None
    ada = opened(actor="ada")
    assert directory.team_role(ada.views, directory.team(ada.views, "local"), ada.context.actor) is not None
    for store in (mallory, ada):
        store.ledger.close()


def test_names_of_a_new_store_come_from_the_settings() -> None:
    store = opened(organisation="acme", entity="vision", project="cats")
    assert directory.project(store.views, "vision", "cats").name == "cats"
    assert directory.registry(store.views, "acme", "model").core
    store.ledger.close()


@pytest.mark.parametrize("setting", ["actor", "organisation", "entity", "project"])
def test_a_new_store_does_not_begin_with_a_name_that_is_not_allowed(setting: str) -> None:
    with pytest.raises(InvalidNameError, match="a/b"):
        opened(**{setting: "a/b"})
    use()


def test_everything_may_lie_elsewhere(tmp_path: Path, own_home: Path) -> None:
    away = tmp_path / "away from home"
    away.mkdir()
    places = {
        "ledger": str(away / "l.sqlite3"),
        "vault": str(away / "vault"),
        "blobs": (away / "the blobs").as_uri(),
        "key_file": str(away / "key"),
        "cache_dir": str(away / "cache"),
        "data_dir": str(away / "data"),
    }
    scene = use(**places)
    assert sorted(path.name for path in away.iterdir() if not path.name.startswith("l.")) == [
        *("key", "the blobs", "vault"),
    ]
    assert (away / "l.sqlite3").is_file()
    assert scene.store.staging == away / "data" / "staging"
    assert not (own_home / "ledger.sqlite3").exists()


@pytest.mark.parametrize("setting", ["ledger", "vault", "blobs"])
@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("nope://bucket/prefix", "names nope://, which cannot be used for it — give (a|the) path .*, or "),
        ("mysql://host/db", "names mysql://"),
        ("file://host/path", "names another machine, 'host'"),
        ("file://relative", "names another machine, 'relative'"),
    ],
)
def test_a_place_that_this_version_cannot_use_is_named(setting: str, place: str, text: str) -> None:
    with pytest.raises(InvalidValueError, match=f"MUNIMENT_{setting.upper()} {text}"):
        opened(**{setting: place})


@pytest.mark.parametrize("setting", ["ledger", "vault", "blobs"])
def test_a_url_with_a_slash_too_few_is_named(setting: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidValueError, match=f"MUNIMENT_{setting.upper()}='s3:/b/x' is neither a URL nor"):
        opened(**{setting: "s3:/b/x"})
    assert not (tmp_path / "s3:").exists()


def test_the_folder_of_a_ledger_is_made(tmp_path: Path) -> None:
    use(ledger=str(tmp_path / "new" / "folder" / "l.sqlite3"))
    assert (tmp_path / "new" / "folder" / "l.sqlite3").is_file()


# --- what is in the way ----------------------------------------------------------------------------------------------


def test_a_file_where_the_home_should_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    below = config.load(home=str(tmp_path / "new"))
    below.values["home"] = str(file)
    with pytest.raises(StorageError, match=r"home folder cannot be made .*File exists.* — set MUNIMENT_HOME"):
        bootstrap.open_store(below)
    below.values["home"] = str(file / "deeper")
    with pytest.raises(StorageError, match=r"Not a directory"):
        bootstrap.open_store(below)
    monkeypatch.setenv("MUNIMENT_HOME", str(file))
    with pytest.raises(StorageError, match=r"home folder cannot be made .*File exists"):
        opened()
    assert file.read_text() == "mine"


@pytest.mark.parametrize("name", ["blobs", "vault.sqlite3", "keys.sqlite3", "ledger.sqlite3"])
def test_something_else_where_a_part_should_be(own_home: Path, name: str) -> None:
    own_home.mkdir()
    if name == "blobs":
        (own_home / name).write_text("mine")
    else:
        (own_home / name).mkdir()
    with pytest.raises(StorageError):
        use()


@pytest.mark.parametrize("name", ["vault.sqlite3", "keys.sqlite3", "ledger.sqlite3"])
def test_a_part_that_is_no_database(own_home: Path, name: str) -> None:
    use()
    for path in own_home.glob(f"{name}*"):
        path.unlink()
    (own_home / name).write_bytes(b"no database at all" * 100)
    (own_home / name).chmod(0o600)
    with pytest.raises(StorageError):
        use()


@pytest.mark.parametrize("name", ["vault.sqlite3", "keys.sqlite3", "ledger.sqlite3"])
def test_a_part_made_by_a_newer_version_is_refused_and_left_alone(own_home: Path, name: str) -> None:
    use()
    with closing(sqlite3.connect(own_home / name)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(StorageError, match=r"(?i)99.*(upgrade|newer)"):
        use()
    with closing(sqlite3.connect(own_home / name)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (99,)


def test_a_missing_key_file_is_not_made_anew(own_home: Path) -> None:
    use()
    (own_home / "master.key").unlink()
    with pytest.raises(KeyFileError, match=r"master.key is missing — put it back"):
        use()
    assert not (own_home / "master.key").exists()


def test_the_key_file_of_another_store_is_refused(own_home: Path, tmp_path: Path) -> None:
    use()
    use(home=str(tmp_path / "other"))
    key = own_home / "master.key"
    mine = key.read_bytes()
    key.write_bytes((tmp_path / "other" / "master.key").read_bytes())
    with pytest.raises(KeyFileError, match="another store"):
        use()
    for damaged in (b"", mine[:-1], b"\x00" * len(mine)):
        key.write_bytes(damaged)
        with pytest.raises(KeyFileError):
            use()
    key.write_bytes(mine)
    key.chmod(0o640)
    with pytest.raises(KeyFileError, match="chmod 600"):
        use()
    key.chmod(0o600)
    assert use().store.ledger.origin


def test_the_ledger_of_another_store_is_refused(own_home: Path, tmp_path: Path) -> None:
    use()
    use(home=str(tmp_path / "other"))
    for path in own_home.glob("ledger.sqlite3*"):
        path.unlink()
    (own_home / "ledger.sqlite3").write_bytes((tmp_path / "other" / "ledger.sqlite3").read_bytes())
    with pytest.raises(MunimentError, match="another"):
        use()


@contextmanager
def unprivileged(home: Path) -> Iterator[None]:
    """Be nobody for a while, to whom the folders on the way to *home* are open."""
    modes = {path: path.stat().st_mode & 0o777 for path in home.parents}
    closed = {path: mode for path, mode in modes.items() if mode & 0o011 != 0o011}
    for path, mode in closed.items():
        path.chmod(mode | 0o011)
    os.setresuid(65534, 65534, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)
        for path, mode in closed.items():
            path.chmod(mode)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody who may not write")
def test_a_home_that_cannot_be_written(own_home: Path) -> None:
    own_home.mkdir(mode=0o755)
    settings = config.load(actor="nobody")
    with unprivileged(own_home), pytest.raises(StorageError, match="home folder cannot be written — set MUNIMENT_HOME"):
        bootstrap.open_store(settings)
    settings.values["home"] = str(own_home / "deeper")
    with unprivileged(own_home), pytest.raises(StorageError, match=r"cannot be made \(Permission denied\)"):
        bootstrap.open_store(settings)
    settings.values["home"], settings.values["blobs"] = str(own_home), str(own_home / "x" / "blobs")
    own_home.chmod(0o777)
    (own_home / "x").mkdir(mode=0o755)
    with (
        unprivileged(own_home),
        pytest.raises(StorageError, match=r"blobs cannot be made.*MUNIMENT_BLOBS"),
    ):
        bootstrap.open_store(settings)
