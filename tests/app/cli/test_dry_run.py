"""``--dry-run`` on everything that deletes: it says what would happen, refuses as the act would, keeps nothing."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import click
import pytest

from muniment.app import bootstrap, config
from tests.app.cli.conftest import Run
from tests.app.cli.test_frame import ALL

DELETING = re.compile(
    r"\b(delet|remov|unlink|purg|clean|evict|eras|forget|sweep|take \w+ \w+ away|away)", re.IGNORECASE
)
HARMLESS = {
    "muniment approval": "only names what its commands do",
    "muniment compliance": "only names what its commands do",
    "muniment compliance drill": "erases an invented person in a folder of its own",
    "muniment request": "only names what its commands do",
    "muniment request certificate": "tells what was erased",
    "muniment request decide": "decides, and removes nothing",
    "muniment request fence": "keeps things from coming back, and removes nothing",
    "muniment request scope": "tells what would be erased",
    "muniment request verify": "looks for what was erased",
    "muniment subject": "only names what its commands do",
    "muniment subject attach": "says what an erasure would be about",
    "muniment hold place": "keeps things from being removed",
    "muniment retention overdue": "lists what is to be deleted",
    "muniment run": "only names what its commands do",
    "muniment disposals": "lists what is gone",
    "muniment activity declare": "tells how data is erased",
    "muniment artifact restore": "takes a deletion back",
    "muniment doctor": "removes what it wrote itself a moment before",
    "muniment export": "tells what was deleted",
    "muniment storage set": "removes what it wrote itself a moment before",
}


def deletes(command: click.Command) -> bool:
    """Whether a command says, in its name, its help or its options, that it takes something away."""
    options = [each.help or "" for each in command.params if isinstance(each, click.Option)]
    return any(DELETING.search(text) for text in (str(command.name), str(command.help), *options))


@pytest.mark.parametrize("name", [name for name, command in ALL.items() if deletes(command) and name not in HARMLESS])
def test_every_command_that_deletes_can_be_tried(name: str) -> None:
    assert "--dry-run" in {option for parameter in ALL[name].params for option in parameter.opts}


def test_the_commands_that_delete_are_found() -> None:
    found = {name for name, command in ALL.items() if deletes(command)}
    assert {"muniment artifact delete", "muniment registry unlink", "muniment gc", "muniment cache cleanup"} <= found
    assert set(HARMLESS) <= found  # what does not delete any more needs no reason


# --- what is tried changes nothing -----------------------------------------------------------------------------------


def content(path: Path) -> bytes:
    """Return what a file holds, of a database all its rows: where SQLite keeps them meanwhile is its own affair."""
    if path.suffix != ".sqlite3":
        return path.read_bytes()
    with closing(sqlite3.connect(path)) as connection:
        return "\n".join(connection.iterdump()).encode()


def everything(home: Path) -> dict[str, str]:
    """Return the digest of every file of the store, the ledger's head among what is compared."""
    opened = bootstrap.open_store(config.load())
    head = opened.ledger.head()
    rows = sha256(b"".join(opened.ledger.dump())).hexdigest()
    opened.ledger.close()
    files = {
        path.relative_to(home).as_posix(): sha256(content(path)).hexdigest()
        for path in sorted(home.rglob("*"))
        if path.is_file() and not path.name.endswith(("-wal", "-shm"))
    }
    return {**files, "head": f"{head.size} {head.root.hex()}", "rows": rows}


@pytest.fixture
def full(muniment: Run, data: Path) -> Iterator[str]:
    """Fill the store and return the key of the run that logged."""
    run: str = muniment("artifact", "put", "-n", "mnist", str(data), "-a", "best", "--json").json["run"]
    (data / "a.txt").write_text("changed\n")
    muniment("artifact", "put", "-n", "mnist", str(data))
    muniment("registry", "create", "drafts")
    muniment("registry", "link", "mnist:v1", "wandb-registry-dataset/mnist", "-a", "staging")
    muniment("org", "member", "local", "ana", "member")
    muniment("team", "member", "local", "ana", "member")
    muniment("registry", "members", "drafts", "ana", "member")
    muniment("subject", "register", "patient-17")
    muniment("subject", "attach", "patient-17", "mnist:v0", "--entries", "a.txt")
    muniment("activity", "declare", "local", "--name", "study", "--purpose", "research", "--part", "processor")
    yield run
    muniment("fsck")


ACTS = {
    ("artifact", "delete", "mnist:v0", "--delete-aliases", "--reason", "wrong"): [
        "alias removed  artifact local/uncategorized/mnist  alias=best",
        "marked deleted  version local/uncategorized/mnist:v0",
    ],
    ("artifact", "alias", "mnist:v0", "best", "--remove"): ["alias removed  artifact local/uncategorized/mnist"],
    ("artifact", "alias", "mnist:v1", "best"): ["alias moved  artifact local/uncategorized/mnist  alias=best"],
    ("registry", "unlink", "wandb-registry-dataset/mnist:v0"): [
        "unlinked  link local/wandb-registry-dataset/mnist:v0",
    ],
    ("registry", "delete", "drafts"): ["registry deleted  registry local/wandb-registry-drafts"],
    ("registry", "delete", "wandb-registry-dataset/mnist"): [
        "collection deleted  collection local/wandb-registry-dataset/mnist"
    ],
    ("registry", "members", "drafts", "ana", "--remove"): [
        "member role set  registry local/wandb-registry-drafts  member_id=ana"
    ],
    ("org", "member", "local", "ana", "--remove"): ["organisation role set  organization local  principal_id=ana"],
    ("team", "member", "local", "ana", "--remove"): ["team role set  team local  principal_id=ana"],
    ("artifact", "ttl", "mnist:v0", "1d"): ["ttl set  version local/uncategorized/mnist:v0  ttl=1d"],
    ("artifact", "ttl", "mnist", "1d", "--artifact"): ["artifact ttl set  artifact local/uncategorized/mnist  ttl=1d"],
    ("team", "ttl", "local", "--default", "1d"): ["ttl policy set  team local  setters=members  default=1d"],
    ("subject", "detach", "patient-17", "mnist:v0", "--entries", "a.txt"): ["entries detached"],
    ("activity", "end", "ACTIVITY"): ["activity ended"],
    ("run", "delete", "RUN", "--artifacts"): [
        "alias removed  artifact local/uncategorized/mnist  alias=best",
        "marked deleted  version local/uncategorized/mnist:v0",
        "run deleted  run local/uncategorized/",
    ],
}


@pytest.mark.parametrize("act", ACTS, ids=" ".join)
def test_what_would_happen_is_said_and_then_happens(
    act: tuple[str, ...], full: str, muniment: Run, own_home: Path
) -> None:
    ids = {"RUN": full, "ACTIVITY": muniment("activity", "list", "--json").json["activity_id"]}
    args = [ids.get(each, each) for each in act]
    before = everything(own_home)
    tried = muniment(*args, "--dry-run").out
    assert everything(own_home) == before
    would = [line.removeprefix("would happen: ") for line in tried.splitlines()[:-1]]
    assert tried.splitlines()[-1] == "nothing was done"
    for expected in ACTS[act]:
        assert [line for line in would if line.startswith(expected)], would
    told = muniment(*args, "--dry-run", "--json").json
    muniment(*args)
    after = everything(own_home)
    size = int(before["head"].split()[0])
    assert int(after["head"].split()[0]) == size + len(would) == size + len(told["events"])
    assert told["dry_run"] is True


REFUSED = [
    ("artifact", "delete", "mnist:v1"),  # linked
    ("artifact", "delete", "mnist", "--artifact"),
    ("registry", "delete", "model"),  # a core registry
    ("registry", "delete", "wandb-registry-dataset/nothing"),
    ("registry", "unlink", "wandb-registry-dataset/nothing:v0"),
    ("run", "delete", "nothing"),
    ("cache", "cleanup", "much"),
]


@pytest.mark.parametrize("act", REFUSED, ids=" ".join)
def test_what_would_be_refused_is_refused_and_the_refusal_is_no_event(
    act: tuple[str, ...], full: str, muniment: Run, own_home: Path
) -> None:
    assert full
    before = everything(own_home)
    tried = muniment(*act, "--dry-run", status=1)
    assert everything(own_home) == before
    assert muniment(*act, status=1).err == tried.err


@pytest.mark.usefixtures("full")
def test_who_may_not_may_not_try(muniment: Run, own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUNIMENT_ACTOR", "eve")
    muniment("artifact", "ls")  # she is known from now on
    before = everything(own_home)
    for act in (["artifact", "delete", "mnist:v0"], ["registry", "delete", "drafts"], ["gc"]):
        assert "eve" not in muniment(*act, "--dry-run", status=1).out
    assert everything(own_home) == before


@pytest.mark.usefixtures("full")
@pytest.mark.parametrize(
    "of", [("team", "member", "local"), ("org", "member", "local"), ("registry", "members", "drafts")]
)
def test_somebody_unknown_stays_unknown(muniment: Run, own_home: Path, of: tuple[str, ...]) -> None:
    before = everything(own_home)
    assert "zoe" not in muniment(*of, "zoe", "member", "--dry-run").out
    for dry in ((), ("--dry-run",)):
        assert "there is no user 'zoe'" in muniment(*of, "zoe", "--remove", *dry, status=1).err
    assert everything(own_home) == before


def test_what_is_deleted_already_would_change_nothing(full: str, muniment: Run) -> None:
    assert full
    muniment("artifact", "alias", "mnist:v0", "best", "--remove")
    tried = muniment("artifact", "alias", "mnist:v0", "best", "--remove", "--dry-run").out
    assert tried == "nothing would happen\nnothing was done\n"
