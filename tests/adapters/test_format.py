"""``docs/format.md`` says all that the ledger's file holds, and a stranger who reads it can check the file."""

from __future__ import annotations

import ast
import itertools
import json
import os
import re
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from muniment.adapters.ledger.schema import newest
from muniment.domain.alias import AliasMoved
from muniment.domain.artifact import ArtifactCreated
from muniment.domain.ports import Append, Command, Context, Outcome
from muniment.domain.principal import Denied, access_stream
from muniment.domain.values import (
    CommandId,
    OrganisationId,
    PrincipalId,
    ProjectId,
    RunId,
    StreamId,
    VersionId,
    alias_stream,
)
from tests import stranger
from tests.acts import story
from tests.conformance.ledger_acts import Dial
from tests.stores import sqlite_ledger, sqlite_store

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "format.md"
TEXT = DOCUMENT.read_text(encoding="utf-8")


def fence(language: str, after: str) -> str:
    """Return the first block of code in this language after a heading."""
    found = re.search(rf"^#+ {re.escape(after)}$.*?^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    assert found, f"no {language} below {after}"
    return found[1]


def example() -> list[dict[str, Any]]:
    """Return the three events of the example, as columns; bytes are written as hexadecimal digits there."""
    lines = [json.loads(line) for line in fence("json", "Example").splitlines()]
    blobs = {"facts_blind", "state", "words", "words_blind", "words_commit"}
    return [
        {key: bytes.fromhex(value) if key in blobs and value is not None else value for key, value in line.items()}
        for line in lines
    ]


def made(path: Path) -> None:
    """Make the ledger of the example: fixed ids, and bytes that count up in place of random ones."""
    ledger = sqlite_ledger(path, Dial())
    numbers = itertools.count()
    ledger.core.random = lambda size: bytes(next(numbers) for _ in range(size))
    org, actor, run = OrganisationId("0a" * 16), PrincipalId("0b" * 16), RunId("0c" * 16)
    artifact, version = StreamId("0d" * 16), VersionId("0e" * 16)
    appends = (
        Append(artifact, 0, (ArtifactCreated(ProjectId("0f" * 16), "modèle", "model"),)),
        Append(alias_stream(artifact, "10" * 16), 0, (AliasMoved(version, alias="best"),)),
    )
    inside = Context(org, actor, "sdk", run=run)
    ledger.transact(Command(CommandId("11" * 16), inside), lambda _: Outcome(appends))
    denied = Append(access_stream(actor), 0, (Denied("NameTakenError", artifact),))
    outside = Context(org, actor, "cli", correlation="ticket 7")
    ledger.transact(Command(CommandId("12" * 16), outside), lambda _: Outcome((denied,)))
    ledger.close()


def rows(path: Path, table: str) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(f'SELECT * FROM "{table}"')]  # noqa: S608


def test_the_stranger_knows_nothing_of_muniment() -> None:
    tree = ast.parse(Path(stranger.__file__).read_text(encoding="utf-8"))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert names == {"__future__", "hashlib", "json", "sqlite3", "collections.abc", "contextlib", "typing"}


def test_a_stranger_can_check_a_whole_ledger(tmp_path: Path) -> None:
    store = sqlite_store(tmp_path)
    story(store, personal="privé")
    head = store.ledger.head()
    store.ledger.close()
    assert stranger.check(str(tmp_path / "ledger.sqlite3")) == (head.size, head.root)
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite3", isolation_level=None)) as connection:
        connection.execute("UPDATE events SET actor = 'x' WHERE rowid = 9")
    with pytest.raises(AssertionError):
        stranger.check(str(tmp_path / "ledger.sqlite3"))


def test_the_example_is_what_muniment_writes(tmp_path: Path) -> None:
    made(tmp_path / "ledger.sqlite3")
    assert rows(tmp_path / "ledger.sqlite3", "events") == example()


def test_the_example_is_worked_out_right(tmp_path: Path) -> None:
    texts = [stranger.leaf_text(event) for event in example()]
    leaves = [stranger.leaf_hash(text) for text in texts]
    lines = fence("text", "Example").splitlines()
    wanted = [f"leaf text 1  {texts[0].decode()}"]
    wanted += [f"leaf hash {number}  {leaf.hex()}" for number, leaf in enumerate(leaves, 1)]
    node = sha256(b"\x01" + leaves[0] + leaves[1]).digest()
    top = sha256(b"\x01" + node + leaves[2]).digest()
    wanted += [f"node 1-2     {node.hex()}", f"root of 3    {top.hex()}"]
    wanted += [f"frontier     {stranger.frontier(leaves).hex()}"]
    assert lines == wanted
    assert stranger.root(leaves).hex() == lines[-2].split()[-1]
    made(tmp_path / "ledger.sqlite3")
    assert stranger.check(str(tmp_path / "ledger.sqlite3")) == (3, stranger.root(leaves))


def test_the_recipe_in_the_shell_gives_every_leaf_and_the_root(tmp_path: Path) -> None:
    made(tmp_path / "ledger.sqlite3")
    leaves = [row["hash"].hex() for row in rows(tmp_path / "ledger.sqlite3", "leaves")]
    leaf, node = fence("sh", "The leaf of an event"), fence("sh", "The root")
    environment = {"PATH": os.environ["PATH"], "db": str(tmp_path / "ledger.sqlite3")}

    def run(script: str, **variables: str) -> str:
        every = {**environment, **variables}
        done = subprocess.run(
            ["sh", "-euc", script], cwd=tmp_path, env=every, capture_output=True, text=True, check=True
        )
        return done.stdout.split()[0]

    try:
        assert [run(leaf, seq=str(seq)) for seq in (1, 2, 3)] == leaves
    except subprocess.CalledProcessError as error:
        if error.returncode == 127:
            pytest.skip(f"the recipe needs a program that is not here: {error.stderr}")
        raise
    first = run(node, left=leaves[0], right=leaves[1])
    assert run(node, left=first, right=leaves[2]) == fence("text", "Example").splitlines()[-2].split()[-1]


def documented() -> Iterator[tuple[str, set[str]]]:
    """Yield every table in the document with the columns that are documented for it."""
    for heading, body in re.findall(r"^### `(\w+)`$(.*?)(?=^##|\Z)", TEXT, re.MULTILINE | re.DOTALL):
        yield heading, set(re.findall(r"^\| `(\w+)`", body, re.MULTILINE))
    section = TEXT.split("## The rows of the projections")[1]
    for line in re.findall(r"^\| `\w+` \|.*$", section, re.MULTILINE):
        table, key, others, _ = [cell.strip() for cell in line.strip("|").split(" | ")]
        yield table.strip("`"), {*re.findall(r"`(\w+)`", key), *re.findall(r"`(\w+)`", others), "from_seq", "to_seq"}


def test_every_table_and_column_is_documented_and_no_other(tmp_path: Path) -> None:
    made(tmp_path / "ledger.sqlite3")
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite3")) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        there = {table: {row[1] for row in connection.execute(f'PRAGMA table_info("{table}")')} for table in tables}
        assert connection.execute("PRAGMA user_version").fetchone() == (newest(),)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        others = connection.execute("SELECT name FROM sqlite_master WHERE type NOT IN ('table', 'index')").fetchall()
    assert dict(documented()) == there
    assert others == []


def test_every_column_of_an_event_is_in_the_leaf_or_said_to_be_behind_a_commitment() -> None:
    behind = {"state", "facts_blind", "words", "words_blind", "words_commit"}
    assert {*stranger.IN_LEAF.values(), *behind} == dict(documented())["events"]


def test_the_number_of_the_schema_and_each_step_to_it_are_documented() -> None:
    assert f"`PRAGMA user_version` is {newest()}" in TEXT
    table = TEXT.split("### The number of the schema")[1].split("###")[0]
    assert re.findall(r"^\| (\d+) \|", table, re.MULTILINE) == [str(number) for number in range(1, newest() + 1)]


def test_its_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", TEXT):
        assert (DOCUMENT.parent / target).exists(), target
    assert {path.name for path in (ROOT / "docs" / "format").glob("*.md")} <= set(re.findall(r"format/(\w+\.md)", TEXT))
