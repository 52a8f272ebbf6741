"""Settings: which word counts, how sizes and times are read, and how what cannot be read is named."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muniment.app import durations
from muniment.app.config import SETTINGS, load, os_user, size_in_bytes
from muniment.domain.errors import InvalidValueError, StorageError

GIB = 1 << 30
SECOND = 1_000_000


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "home"
    folder.mkdir()
    yield folder
    for path in folder.iterdir():
        path.chmod(0o600)


def written(home: Path, text: str) -> dict[str, str]:
    """Write ``config.toml`` and return the environment that names its home."""
    (home / "config.toml").write_text(text)
    return {"MUNIMENT_HOME": str(home)}


def test_the_nearest_word_counts(home: Path) -> None:
    environ = written(home, 'entity = "file"')
    steps = [
        ({}, {}, "local", "default"),
        (environ, {}, "file", "config.toml"),
        ({"WANDB_ENTITY": "twin"}, {}, "twin", "WANDB_ENTITY"),
        ({"MUNIMENT_ENTITY": "own"}, {}, "own", "MUNIMENT_ENTITY"),
        ({}, {"entity": "given"}, "given", "argument"),
    ]
    so_far: dict[str, str] = {"MUNIMENT_HOME": str(home / "elsewhere")}
    for variables, arguments, value, source in steps:
        so_far |= variables
        config = load(so_far, **arguments)
        assert (config["entity"], config.sources["entity"]) == (value, source)


@pytest.mark.parametrize("setting", [each for each in SETTINGS if each.twin], ids=lambda each: each.name)
def test_every_twin_means_the_same(setting: object, home: Path) -> None:
    name, variable, twin = setting.name, setting.variable, setting.twin  # type: ignore[attr-defined]
    base = {"MUNIMENT_HOME": str(home)}
    assert load(base | {twin: "x"})[name] == "x"
    assert load(base | {twin: "x", variable: "y"})[name] == "y"


def test_what_is_empty_says_nothing(home: Path) -> None:
    config = load({"MUNIMENT_HOME": str(home), "MUNIMENT_ENTITY": "", "WANDB_ENTITY": "twin"}, entity="", project=None)
    assert (config["entity"], config["project"]) == ("twin", "uncategorized")
    assert load({"MUNIMENT_HOME": str(home)}, home="").home == home


def test_the_defaults() -> None:
    config = load({})
    assert config.home == Path("~/.muniment").expanduser()
    assert (config.cache_max, config.grace) == (10 * GIB, 7 * 86400 * SECOND)
    assert (config["organisation"], config["entity"], config["project"]) == ("local", "local", "uncategorized")
    assert config.actor == os_user()
    assert config.path("key_file", "master.key") == config.home / "master.key"
    assert not config.flag("silent")
    assert config["digest"] == "sha256"


def test_without_an_environment_given_that_of_the_process_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUNIMENT_PROJECT", "from outside")
    assert load()["project"] == "from outside"


@pytest.mark.parametrize(
    ("text", "size"),
    [
        *(("0", 0), ("1024", 1024), ("10GiB", 10 * GIB), ("10 GB", 10 * GIB), ("10g", 10 * GIB), ("1.5M", 3 << 19)),
        *((" 2 KiB ", 2048), ("1T", 1 << 40), ("7B", 7), ("9" * 400, (1 << 63) - 1), ("9" * 30 + "T", (1 << 63) - 1)),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert size_in_bytes(text) == size


@given(st.text())
def test_a_text_is_a_size_or_a_duration_or_is_refused(text: str) -> None:
    for read in (size_in_bytes, durations.from_text):
        try:
            assert read(text) >= 0
        except InvalidValueError as error:
            assert repr(text) in str(error)  # noqa: PT017 (either is right)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        *(("MUNIMENT_CACHE_MAX", "much"), ("MUNIMENT_CACHE_MAX", "-1"), ("MUNIMENT_CACHE_MAX", "1XB")),
        *(("MUNIMENT_GRACE", "soon"), ("MUNIMENT_GRACE", "-1d"), ("MUNIMENT_GRACE", "1y")),
        *(("MUNIMENT_DIGEST", "crc32"), ("MUNIMENT_DIGEST", "sha-256")),
    ],
)
def test_what_cannot_be_read_is_named_with_its_value_and_the_way_out(home: Path, variable: str, value: str) -> None:
    name = variable.removeprefix("MUNIMENT_").lower()
    base = {"MUNIMENT_HOME": str(home)}
    with pytest.raises(InvalidValueError, match=rf"{name} \(from {variable}\): '{value}' is no .* — write"):
        load(base | {variable: value})
    with pytest.raises(InvalidValueError, match=rf"{name} \(from argument\)"):
        load(base, **{name: value})
    with pytest.raises(InvalidValueError, match=rf"{name} \(from config.toml\)"):
        load(written(home, f'{name} = "{value}"'))


def test_a_digest_is_named_in_any_case(home: Path) -> None:
    assert load({"MUNIMENT_HOME": str(home), "MUNIMENT_DIGEST": "MD5"})["digest"] == "md5"


@pytest.mark.parametrize(
    ("value", "flag"),
    [("true", True), ("True", True), ("1", True), ("yes", True), ("on", True), ("0", False), ("false", False)],
)
def test_flags(home: Path, value: str, *, flag: bool) -> None:
    assert load({"MUNIMENT_HOME": str(home), "WANDB_SILENT": value}).flag("silent") is flag


def test_the_file_may_hold_numbers_flags_and_lists(home: Path) -> None:
    config = load(written(home, 'silent = true\ncache_max = 2048\ntags = ["a", "b"]\nunknown = 1'))
    assert (config.flag("silent"), config.cache_max, config["tags"]) == (True, 2048, "a,b")
    assert config.sources["tags"] == "config.toml"


@pytest.mark.parametrize("text", ["[entity]\nname = 1", "entity = [[1]]"])
def test_the_file_may_not_hold_what_no_variable_could(home: Path, text: str) -> None:
    with pytest.raises(InvalidValueError, match=r"config.toml: entity must be text"):
        load(written(home, text))


@pytest.mark.parametrize("content", [b"not = = toml", b"entity = \xff"])
def test_a_file_that_is_no_toml_says_so(home: Path, content: bytes) -> None:
    (home / "config.toml").write_bytes(content)
    with pytest.raises(StorageError, match=r"config.toml in the home folder cannot be read"):
        load({"MUNIMENT_HOME": str(home)})


def test_a_folder_in_place_of_the_file_says_so(home: Path) -> None:
    (home / "config.toml").mkdir()
    with pytest.raises(StorageError, match=r"config.toml.*Is a directory"):
        load({"MUNIMENT_HOME": str(home)})
    (home / "config.toml").rmdir()


def test_a_home_that_is_a_file_is_told_when_it_is_opened_not_here(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    assert load({"MUNIMENT_HOME": str(file)})["entity"] == "local"


def test_a_user_without_a_name_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise OSError

    monkeypatch.setattr("getpass.getuser", nobody)
    assert os_user() == f"uid-{os.getuid()}"
