"""The frame of the command line: help costs nothing and shows examples, errors are one line, nothing is left behind."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from muniment.app.cli import cli, main, one_line
from muniment.app.cli.frame import Command, Group
from tests.app.cli.conftest import Run

ROOT = Path(__file__).parents[3]
GUIDE = ROOT / "docs" / "guides" / "cli.md"
HEAVY = ("attr", "cattrs", "eventsourcing", "cryptography", "msgspec", "sqlite3", "zstandard", "muniment.adapters")
PROGRAM = (sys.executable, "-m", "muniment.app.cli")


def commands() -> Iterator[tuple[str, click.Command]]:
    """Yield every command and group with its whole name; one that has two names under the shorter."""
    seen: list[click.Command] = []
    waiting: list[tuple[str, click.Command]] = [("muniment", cli)]
    while waiting:
        name, command = waiting.pop(0)
        if command in seen:
            continue
        seen.append(command)
        yield name, command
        if isinstance(command, click.Group):
            context = click.Context(command)
            for each in command.list_commands(context):
                inner = command.get_command(context, each)
                assert inner is not None
                waiting.append((f"{name} {each}", inner))


ALL = dict(commands())


@pytest.mark.parametrize("name", ALL)
def test_the_help_of_every_command_says_what_it_does_and_shows_an_example(name: str, muniment: Run) -> None:
    command = ALL[name]
    assert isinstance(command, Command | Group)
    assert command.examples
    out = muniment(*name.split()[1:], "--help").out
    assert " ".join(str(command.help).split("\n\n")[0].split()) in " ".join(out.split())
    for example in command.examples:
        assert f"\n  {example}\n" in out


@pytest.mark.parametrize("name", ALL)
def test_every_command_is_documented_with_an_example(name: str) -> None:
    guide = GUIDE.read_text("utf-8")
    section = re.search(rf"^#+ `{name}`\n(.*?)(?=^#|\Z)", guide, re.MULTILINE | re.DOTALL)
    assert section, f"{GUIDE.name} has no heading for `{name}`"
    assert guide.count(f"# `{name}`\n") == 1, f"{GUIDE.name} describes {name} more than once"
    command = ALL[name]
    assert isinstance(command, Command | Group)
    shown = section[1].splitlines()
    assert [example for example in command.examples if example in shown], f"{GUIDE.name} shows no example of {name}"
    missing = [
        option
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for option in parameter.opts[:1]
        if option != "--json" and f"`{option}" not in section[1]
    ]
    assert missing == [], f"{GUIDE.name} does not say what these options of {name} do"


@pytest.mark.parametrize("name", ALL)
def test_every_example_names_options_that_the_command_has(name: str) -> None:
    command = ALL[name]
    assert isinstance(command, Command | Group)
    for example in command.examples:
        called = max((each for each in ALL if f"{each} " in f"{example} "), key=len)
        known = {option for parameter in ALL[called].params for option in (*parameter.opts, *parameter.secondary_opts)}
        used = set(re.findall(r"(?<= )--?[a-z][a-z-]*", example.partition(" | ")[0]))
        assert used <= known, example
        assert "…" not in example  # it can be typed as it stands


PLAIN = (click.types.BoolParamType, click.types.StringParamType, click.Choice)
ALIKE = [{"--limit", "-n", "-l"}, {"--as-of", "--at"}, {"--output", "-o"}, {"--after"}, {"--wait"}]


@pytest.mark.parametrize("name", ALL)
def test_options_that_mean_the_same_are_called_alike(name: str) -> None:
    for option in (each for each in ALL[name].params if isinstance(each, click.Option)):
        names = {*option.opts, *option.secondary_opts}
        for alike in ALIKE:
            assert names >= alike or not names & {each for each in alike if each.startswith("--")}, option.name
        assert option.metavar or isinstance(option.type, PLAIN), f"{option.name} reads {option.type.name.upper()}"
        if "-o" in names:
            assert option.metavar in {"FILE", "FOLDER"}


@pytest.mark.parametrize("name", [name for name, command in ALL.items() if isinstance(command, Group)])
def test_the_help_of_a_group_says_the_whole_of_what_its_commands_do(name: str, muniment: Run) -> None:
    out = " ".join(muniment(*name.split()[1:], "--help").out.split())
    assert "..." not in out.replace("[ARGS]...", "")
    for called, command in ALL.items():
        if called.rpartition(" ")[0] == name and name not in {"muniment", "muniment artifact"}:
            assert command.get_short_help_str(500) in out


@pytest.mark.parametrize("called", ["run list", "hold ls", "artifact list", "org members local", "team members local"])
def test_a_list_is_reached_by_either_name(called: str, muniment: Run) -> None:
    group, name, *rest = called.split()
    other = {"list": "ls", "ls": "list", "members": "member"}[name]
    assert muniment(group, name, *rest).out == muniment(group, other, *rest).out


def test_a_command_that_is_not_there_is_wrong_usage_by_the_name_that_was_typed(muniment: Run) -> None:
    assert "No such command 'ls'" in muniment("key", "ls", status=2).err


@pytest.mark.parametrize("args", [["--help"], ["artifact", "--help"]])
def test_help_loads_no_store(args: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "muniment.app.cli", *args],
        capture_output=True,
        text=True,
        check=True,
        env=environment(),
    )
    loaded = [line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if "|" in line]
    assert "click" in loaded
    assert [name for name in loaded for heavy in HEAVY if f"{name}.".startswith(f"{heavy}.")] == []


def test_the_version_is_printed_without_opening_a_store(muniment: Run, own_home: Path) -> None:
    assert muniment("--version").out == muniment("version").out
    assert muniment("version", "--json").json["version"] == muniment("version").out.strip()
    assert not own_home.exists()


def test_a_refusal_is_one_line_with_the_way_out_and_status_1(muniment: Run) -> None:
    refused = muniment("registry", "show", "nope", status=1)
    assert refused.out == ""
    assert re.fullmatch(
        r"error: organization local has no registry 'nope' — .*muniment registry create nope.*\n", refused.err
    )


def test_wrong_usage_is_status_2(muniment: Run) -> None:
    for args in (["nope"], ["artifact", "nope"], ["org", "create"], ["run", "ls", "--limit", "0"], ["--nope"]):
        assert muniment(*args, status=2).err.startswith("Usage: ")


def test_an_error_cannot_steer_the_terminal() -> None:
    assert one_line("a\n b\t\x1b[31mc") == "a b \N{REPLACEMENT CHARACTER}[31mc"


def test_another_home_can_be_named(muniment: Run, tmp_path: Path, own_home: Path) -> None:
    muniment("--home", str(tmp_path / "other"), "org", "create", "research")
    assert (tmp_path / "other" / "ledger.sqlite3").exists()
    assert not own_home.exists()
    assert [row["name"] for row in muniment("org", "ls", "--json").lines] == ["local"]


def test_an_interrupt_ends_with_130(monkeypatch: pytest.MonkeyPatch, muniment: Run) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("muniment.app.cli.upkeep.store", interrupted)
    assert muniment("rebuild", status=130).out == ""


def test_an_interrupted_put_leaves_no_version_and_no_staged_files(
    tmp_path: Path, own_home: Path, muniment: Run
) -> None:
    big = tmp_path / "big"
    with big.open("wb") as file:
        file.truncate(1 << 30)
    muniment("org", "ls")
    putting = subprocess.Popen(
        [*PROGRAM, "artifact", "put", "-n", "big", str(big)], env=environment(own_home), stderr=subprocess.PIPE
    )
    staging = own_home / "staging"
    while not any(path.stat().st_size for path in staging.glob("*/0")):
        assert putting.poll() is None
    putting.send_signal(signal.SIGINT)
    _, err = putting.communicate(timeout=60)
    assert (putting.returncode, err.decode().strip()) == (130, "interrupted")
    assert [path for path in staging.iterdir() if path.is_dir()] == []
    muniment("artifact", "show", "big", status=1)
    assert muniment("fsck").out == ""


def test_following_ends_with_an_interrupt(own_home: Path, muniment: Run) -> None:
    muniment("org", "ls")
    following = subprocess.Popen(
        [*PROGRAM, "events", "--follow", "--json"],
        env=environment(own_home),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert following.stdout is not None
    try:
        assert json.loads(following.stdout.readline())["seq"] == 1
        following.send_signal(signal.SIGINT)
        _, err = following.communicate(timeout=60)
    finally:
        following.kill()
        following.communicate()
    assert (following.returncode, err.strip()) == (130, "interrupted")


def test_a_reader_that_goes_away_is_no_error(own_home: Path, muniment: Run) -> None:
    muniment("org", "ls")
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as nobody:
        done = subprocess.run(
            [*PROGRAM, "events", "--json"],
            env=environment(own_home),
            stdout=nobody,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert done.stderr == b""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_completes_commands(
    shell: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("_MUNIMENT_COMPLETE", f"{shell}_complete")
    monkeypatch.setenv("COMP_WORDS", "muniment artifact pu")
    monkeypatch.setenv("COMP_CWORD", "pu" if shell == "fish" else "2")
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 0
    assert re.search(r"\bput\b", capsys.readouterr().out)


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_completion_script_of_a_shell_asks_us(shell: str, muniment: Run) -> None:
    assert f"_MUNIMENT_COMPLETE={shell}_complete" in muniment("completion", shell).out


def environment(home: Path | None = None) -> dict[str, str]:
    known = {name: value for name, value in os.environ.items() if not name.startswith(("MUNIMENT_", "WANDB_"))}
    source = {"PYTHONPATH": str(ROOT / "src"), "MUNIMENT_ACTOR": "ada"}
    return {**known, **source, **({} if home is None else {"MUNIMENT_HOME": str(home)})}
