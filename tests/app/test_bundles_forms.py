"""A18: whatever is done to the rows of a report is named, in each of its forms, by us, the program and the script."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from muniment.adapters import signing
from muniment.app import reports
from muniment.app.canonical import encode
from muniment.app.proving.verifying import Trust, verify
from muniment.app.reports import making
from muniment.app.reports.making import Wanted
from muniment.domain.errors import ProofError
from tests.app.exported import by_program, by_script, tell
from tests.app.scene import Scene
from tests.stores import Clock, memory_store

FORMS = ("jsonl", "csv", "parquet")
Rows = list[Any]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("store")
    scene = Scene(memory_store(folder), Clock())
    tell(scene)
    making.bundle(scene.store, reports.named("audit-trail"), Wanted(FORMS), folder / "bundle")
    return folder / "bundle", scene.store.signer.verifier_key()


@pytest.fixture
def copy(exported: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(exported[0], tmp_path / "bundle"))


def rewrite(path: Path, change: Callable[[Rows], Rows]) -> None:
    """Change the rows of a file, whatever its form is."""
    if path.suffix == ".parquet":
        table = pyarrow.parquet.read_table(path)
        changed = pyarrow.Table.from_pylist(change(table.to_pylist()), schema=table.schema)
        pyarrow.parquet.write_table(changed, path)
        return
    lines = path.read_bytes().splitlines(keepends=True)
    head = lines[: path.suffix == ".csv"]
    path.write_bytes(b"".join(head + change(lines[len(head) :])))


def edited(rows: Rows) -> Rows:
    """Let the actor of the fourth event be somebody else."""
    row = rows[3]
    if isinstance(row, bytes):
        actor = next(word for word in row.replace(b'"', b",").split(b",") if len(word) == 32)
        return [*rows[:3], row.replace(actor, b"e" * 32), *rows[4:]]
    return [*rows[:3], {**row, "actor": "e" * 32}, *rows[4:]]


CHANGES: dict[str, Callable[[Rows], Rows]] = {
    "a row edited": edited,
    "a row removed": lambda rows: rows[:3] + rows[4:],
    "the last row removed": lambda rows: rows[:-1],
    "two rows swapped": lambda rows: [*rows[:3], rows[4], rows[3], *rows[5:]],
    "a row twice": lambda rows: [*rows, rows[-1]],
}


def verdicts(folder: Path, key: str) -> list[str]:
    """Return what we, the program and the script say; all three refuse."""
    with pytest.raises(ProofError) as refused:
        verify(folder, Trust.of(signing.Notary(), key))
    (status, said), (shell_status, shell_said) = by_program(folder, "--key", key), by_script(folder, key)
    assert (status, shell_status) == (1, 1)
    return [str(refused.value), said, shell_said]


def test_the_bundle_is_whole(copy: Path, exported: tuple[Path, str]) -> None:
    assert verify(copy, Trust.of(signing.Notary(), exported[1])).open == ()
    assert (by_program(copy, "--key", exported[1])[0], by_script(copy, exported[1])[0]) == (0, 0)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("change", CHANGES)
def test_a18_rows_that_were_changed_are_named_and_so_is_a_manifest_that_was_made_to_fit(
    copy: Path, exported: tuple[Path, str], form: str, change: str
) -> None:
    name = f"audit-trail.{form}"
    rewrite(copy / name, CHANGES[change])
    ours, program, script = verdicts(copy, exported[1])
    assert f"the file {name} was changed" in ours
    assert f"the file {name} was changed" in program
    assert f"{name}: FAILED" in script
    content, told = (copy / name).read_bytes(), json.loads((copy / "manifest.json").read_bytes())
    (listed,) = (each for each in told["files"] if each["name"] == name)
    listed |= {"sha256": sha256(content).hexdigest(), "bytes": len(content)}
    (copy / "manifest.json").write_bytes(encode(told))
    assert all("the manifest was changed" in each for each in verdicts(copy, exported[1]))


@pytest.mark.parametrize(
    "name", ["more.csv", ".*", "*", "..more", "audit.trail.csv", "........csv", "x\naudit-trail.csv", "a b", ".[!.]*"]
)
def test_a_file_of_any_name_that_is_not_listed_is_noticed(copy: Path, exported: tuple[Path, str], name: str) -> None:
    (copy / name).write_text("x")
    assert all("does not list" in each for each in verdicts(copy, exported[1]))
    (copy / name).unlink()
    (copy / name).symlink_to("nowhere")
    assert all("does not list" in each for each in verdicts(copy, exported[1]))
