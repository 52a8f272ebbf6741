"""A bundle can be checked by anybody with the kit alone, and whatever is changed in it is named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import rfc8785

from muniment.app import canonical
from muniment.app.canonical import encode
from muniment.app.proving.bundles import Contents, Made, write_bundle
from muniment.domain.errors import InvalidValueError, NotFoundError
from muniment.domain.report import ReportGenerated
from muniment.domain.values import Json
from tests.app.exported import bundle, by_program, by_script, tell
from tests.app.scene import Scene
from tests.stores import Clock, memory_store

Change = Callable[[Path], object]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Scene, Path, str]:
    folder = tmp_path_factory.mktemp("store")
    scene = Scene(memory_store(folder), Clock())
    tell(scene)
    bundle(scene, folder / "first")
    scene.log("images", "six")
    bundle(scene, folder / "second", "holds")
    return scene, folder, scene.store.signer.verifier_key()


@pytest.fixture
def copy(exported: tuple[Scene, Path, str], tmp_path: Path) -> Path:
    return Path(shutil.copytree(exported[1] / "first", tmp_path / "bundle"))


def verdicts(folder: Path, key: str) -> list[tuple[int, str]]:
    return [by_program(folder, "--key", key), by_script(folder, key)]


def test_a_bundle_is_checked_without_muniment(exported: tuple[Scene, Path, str]) -> None:
    scene, folder, key = exported
    for name in ("first", "second"):
        (status, said), (shell_status, shell_said) = verdicts(folder / name, key)
        assert (status, shell_status) == (0, 0), (said, shell_said)
        assert "report.generated.1" in said
        assert shell_said.startswith(f"OK {folder / name}: 2 files of a report, recorded as event ")
    (event,) = [each for each in scene.store.ledger.read() if isinstance(each.event, ReportGenerated)][:1]
    assert (event.event.report, event.event.size) == ("audit-trail", event.seq - 1)
    assert event.event.root == scene.store.ledger.root(event.seq - 1).hex()
    assert json.loads((folder / "first" / "manifest.json").read_bytes())["log"]["size"] == event.seq - 1


def test_a_key_from_elsewhere_is_wanted(copy: Path, exported: tuple[Scene, Path, str], tmp_path: Path) -> None:
    status, said = by_program(copy)
    assert (status, "no --key was given" in said) == (1, True)
    other = memory_store(tmp_path)
    for wrong in (other.signer.verifier_key(), exported[2][:-1], "nonsense"):
        assert [status for status, _ in verdicts(copy, wrong)] == [1, 1]


def replace(name: str, old: str, new: str) -> Change:
    def change(folder: Path) -> None:
        content = (folder / name).read_text(encoding="utf-8")
        assert old in content
        (folder / name).write_text(content.replace(old, new, 1), encoding="utf-8")

    return change


def swapped(folder: Path, *names: str) -> None:
    for name in names:
        shutil.copy(folder.parent / "second" / name, folder / name)


def reordered(folder: Path) -> None:
    lines = (folder / "events.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    (folder / "events.csv").write_text("".join(reversed(lines)), encoding="utf-8")


A18: dict[str, tuple[Change, str, str]] = {
    "a row edited": (replace("events.csv", "1,", "2,"), "events.csv was changed", "events.csv: FAILED"),
    "a row removed": (replace("events.jsonl", '{"seq":1}\n', ""), "events.jsonl was changed", "events.jsonl: FAILED"),
    "rows in another order": (reordered, "events.csv was changed", "events.csv: FAILED"),
    "a file removed": (lambda folder: (folder / "events.csv").unlink(), "events.csv is missing", "events.csv"),
    "a file added": (lambda folder: (folder / "more.csv").write_text("x"), "does not list: ['more.csv']", "more.csv"),
    "a count in the manifest": (
        replace("manifest.json", '"rows":1', '"rows":2'),
        "the manifest was changed",
        "the manifest was changed",
    ),
    "a total in the manifest": (
        replace("manifest.json", '"events":1', '"events":9'),
        "the manifest was changed",
        "the manifest was changed",
    ),
    "the ledger's size in the manifest": (
        replace("manifest.json", '"size":', '"size":1'),
        "names another ledger",
        "names another ledger",
    ),
    "a manifest written otherwise": (
        replace("manifest.json", "{", "{ "),
        "not in its canonical form",
        "the manifest was changed",
    ),
    "the proofs of two bundles swapped": (
        lambda folder: swapped(folder, "report.tlog-proof"),
        "another checkpoint",
        "another checkpoint",
    ),
    "proof and checkpoint of another bundle": (
        lambda folder: swapped(folder, "report.tlog-proof", "checkpoint.note"),
        "of another report",
        "another ledger than the report was made of",
    ),
    "the checkpoint's root": (
        replace("checkpoint.note", "\n\n", "\n\n\u2014 other AAAAAAA=\n"),
        "another checkpoint",
        "another checkpoint",
    ),
}


@pytest.mark.parametrize("change", A18)
def test_whatever_is_changed_in_a_bundle_is_named(
    change: str, copy: Path, exported: tuple[Scene, Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    act, by_python, by_shell = A18[change]
    shutil.copytree(exported[1] / "second", copy.parent / "second")
    monkeypatch.chdir(copy.parent)
    act(copy)
    (status, said), (shell_status, shell_said) = verdicts(copy, exported[2])
    assert (status, shell_status) == (1, 1)
    assert by_python in said
    assert by_shell in shell_said


def line(name: str, number: int, text: str) -> Change:
    """Return what puts another text in the place of a line, counted from 1."""

    def change(folder: Path) -> None:
        lines = (folder / name).read_text(encoding="utf-8").split("\n")
        (folder / name).write_text("\n".join([*lines[: number - 1], text, *lines[number:]]), encoding="utf-8")

    return change


MALFORMED: dict[str, tuple[Change, str, str]] = {
    "no checkpoint": (lambda folder: (folder / "checkpoint.note").unlink(), "checkpoint.note cannot be", "it has no c"),
    "no proof": (lambda folder: (folder / "report.tlog-proof").unlink(), "report.tlog-proof cannot be", "it has no r"),
    "no manifest": (lambda folder: (folder / "manifest.json").unlink(), "manifest.json cannot be", "it has no manif"),
    "what the proof holds": (line("report.tlog-proof", 2, "extra !"), "what the proof holds", "the proof holds is not"),
    "an index that is none": (line("report.tlog-proof", 3, "index x"), "no line index", "does not cover"),
    "a hash that is none": (line("report.tlog-proof", 4, "!"), "a hash of the proof", "a hash of the proof is not"),
    "a size that is none": (line("checkpoint.note", 2, "x"), "another checkpoint", "signature does not fit"),
    "a signature that is none": (line("checkpoint.note", 5, "\u2014 x"), "not a signature", "not signed by the key"),
}


@pytest.mark.parametrize("change", MALFORMED)
def test_what_is_malformed_is_refused_with_one_line_that_says_why(
    change: str, copy: Path, exported: tuple[Scene, Path, str]
) -> None:
    act, by_python, by_shell = MALFORMED[change]
    act(copy)
    (status, said), (shell_status, shell_said) = verdicts(copy, exported[2])
    assert (status, shell_status) == (1, 1)
    assert by_python in said
    assert by_shell in shell_said
    assert shell_said.startswith("REFUSED ")
    assert shell_said.count("\n") == 1


def test_the_script_takes_a_key_in_a_file_and_says_what_is_wrong_with_one(
    copy: Path, exported: tuple[Scene, Path, str], tmp_path: Path
) -> None:
    kept = tmp_path / "ledger.key"
    kept.write_text(f"{exported[2]}\n", encoding="utf-8")
    assert by_script(copy, str(kept))[0] == 0
    name, id_, _ = exported[2].split("+", 2)
    for wrong in ("nonsense", f"{name}+{id_}+!", "a.key", exported[2][:-4]):
        status, said = by_script(copy, wrong)
        assert (status, said.count("\n"), "key" in said) == (1, 1, True), said


def test_every_byte_of_the_small_files_counts(copy: Path, exported: tuple[Scene, Path, str]) -> None:
    """A changed byte in what is signed, proved or hashed is refused; in what surrounds a signature it may not be."""
    for name in ("manifest.json", "report.tlog-proof", "checkpoint.note"):
        content = (copy / name).read_bytes()
        for at in range(3, len(content), len(content) // 5):
            (copy / name).write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
            assert by_program(copy, "--key", exported[2])[0] == 1, (name, at)
        (copy / name).write_bytes(content)


def test_names_that_a_bundle_cannot_have_are_refused(scene: Scene, tmp_path: Path) -> None:
    made = Made("x", scene.store.ledger.head(), 0, {}, {})
    for names in (["../a"], ["manifest.json"], ["a b"], [""], ["a", "a"], [".hidden"]):
        with pytest.raises(InvalidValueError, match="cannot be a file of a bundle"):
            write_bundle(scene.store, tmp_path, made, [Contents(name) for name in names])
    size = scene.seq
    with pytest.raises(NotFoundError, match=r"no file a\.csv"):
        write_bundle(scene.store, tmp_path, made, [Contents("a.csv")])
    assert scene.seq == size


def test_json_is_written_as_rfc_8785_says() -> None:
    value: Json = {"b": [1, -5, True, None], "a": 'é\u2028\x07"\\\n\U0001f600', "A": {"z": "", "": []}}
    assert encode(value) == rfc8785.dumps(value)
    for wrong in (1.5, {"é": 1}, 2**53, ["\ud800"]):
        with pytest.raises(InvalidValueError):
            encode(wrong)
    for text in (b"{", b'{"a": 1}', b'{"a":1,"a":1}'):
        with pytest.raises(InvalidValueError):
            canonical.decode(text, "it")
