"""The house stands as documented: its rooms, what may enter the domain, its papers, and what must not be in it."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from muniment.domain.decider import Decider
from muniment.domain.errors import ConflictError, RuleError
from tests.spec import Spec

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ROOT / "src" / "muniment"
ADRS = sorted((ROOT / "docs" / "adr").glob("*.md"))

PURE = {
    "__future__",
    "attrs",
    "base64",
    "binascii",
    "bisect",
    "collections",
    "datetime",
    "enum",
    "functools",
    "hashlib",
    "itertools",
    "math",
    "operator",
    "re",
    "struct",
    "types",
    "typing",
    "zlib",
}
"""What the domain may import beside itself: nothing that reads a clock, a file, the network or chance."""


def imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"), str(file))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "."


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("this is no git checkout, so nothing says which files belong to it")
    found = [ROOT / name for name in os.fsdecode(listed.stdout).split("\0") if name]
    return [file for file in found if file.is_file() and not file.is_symlink()]


@pytest.mark.parametrize("room", ["domain", "adapters", "app"])
def test_the_rooms_at_the_front_are_relative_links_into_the_package(room: str) -> None:
    link = ROOT / room
    assert link.is_symlink()
    assert link.readlink() == Path("src", "muniment", room)
    assert (link / "__init__.py").samefile(SOURCES / room / "__init__.py")


def test_the_domain_imports_attrs_itself_and_a_few_pure_modules() -> None:
    strangers = {
        f"{file.name}: {name}"
        for file in (SOURCES / "domain").rglob("*.py")
        for name in imports(file)
        if name.split(".")[0] not in PURE and not f"{name}.".startswith("muniment.domain.")
    }
    assert strangers == set()


def test_every_third_party_library_has_a_contract_that_names_its_home() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    dependencies = {re.split(r"[<>=\[]", line)[0] for line in project["project"]["dependencies"]} - {"attrs"}
    contracts = project["tool"]["importlinter"]["contracts"]
    housed = {name for contract in contracts for name in contract.get("protected_modules", [])}
    imported = {name.split(".")[0] for file in SOURCES.rglob("*.py") for name in imports(file)}
    assert dependencies & imported <= housed
    assert "muniment.adapters" in housed or not (SOURCES / "app" / "bootstrap.py").exists()
    pure = next(contract for contract in contracts if contract["name"] == "the domain is pure")
    assert dependencies <= set(pure["forbidden_modules"])


def test_contracts_promise_no_module_that_came_meanwhile() -> None:
    """In parentheses means planned; a module that is there must be named without them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    for contract in project["tool"]["importlinter"]["contracts"]:
        for container in contract.get("containers", []):
            folder = ROOT / "src" / container.replace(".", "/")
            planned = re.findall(r"\((\w+)\)", " ".join(contract["layers"]))
            there = [name for name in planned if (folder / f"{name}.py").exists() or (folder / name).is_dir()]
            assert there == [], f"{contract['name']}: take the parentheses off"


def test_the_adrs_are_numbered_without_a_gap() -> None:
    assert [file.name[:5] for file in ADRS] == [f"{number:04}-" for number in range(1, len(ADRS) + 1)]


@pytest.mark.parametrize("file", ADRS, ids=lambda file: file.stem)
def test_every_adr_has_the_agreed_form(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    title = text.splitlines()[0]
    assert re.fullmatch(
        rf"# {file.name[:4]}\. \S.* {{2,}}Status: (accepted|superseded by \d{{4}}) {{2,}}Date: \d{{4}}-\d{{2}}-\d{{2}}",
        title,
    )
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert headings == ["Context", "Options", "Decision", "Consequences", "Confirmed by"]
    assert len(text.split()) <= 600, "a page at most"


def test_the_constraints_pin_every_package_and_hold_no_address() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line)] == []
    pinned = {line.partition("==")[0].lower() for line in lines}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]
    named = {re.split(r"[<>=\[]", line)[0].lower() for line in wanted}
    assert named - {project["name"]} <= pinned


PRIVATE = re.compile(
    "|".join(
        [r"(?<![\w.])/(?:work|farm|root|opt)/\w", r"(?<![\w.])/home/[a-z]+/", r"(?<![\w.])/Users/\w", "pypi" + r"\.org"]
    )
)


def test_no_tracked_file_names_a_machine_or_a_package_registry() -> None:
    found = [
        f"{file.relative_to(ROOT)}: {hit[0]}"
        for file in tracked()
        if (hit := PRIVATE.search(file.read_bytes().decode("utf-8", "replace")))
    ]
    assert found == []


LONG = {
    "src/muniment/app/kit/verify_muniment.py": "0021-proofs-that-others-check.md",
    "src/muniment/domain/ports.py": "0005-ports-and-their-suites.md",
}
"""Files of declarations that may have up to 600 lines, and the decision that says why."""


def test_no_python_file_is_longer_than_400_lines_without_a_decision() -> None:
    lengths = {
        str(file.relative_to(ROOT)): len(file.read_bytes().splitlines()) for file in tracked() if file.suffix == ".py"
    }
    assert {name: length for name, length in lengths.items() if length > (600 if name in LONG else 400)} == {}
    for name, adr in LONG.items():
        assert Path(name).name in (ROOT / "docs" / "adr" / adr).read_text(encoding="utf-8")


def _double(state: int, *, limit: int) -> list[int]:
    if state > limit:
        msg = f"{state} is too much"
        raise RuleError(msg)
    return [state] if state else []


SUM: Spec[int, int] = Spec(Decider("sum", 0, lambda state, event: state + event))


def test_given_when_then_reads_and_refuses() -> None:
    assert SUM.given(1, 2).when(_double, limit=9).then(3) == 6
    SUM.when(_double, limit=9).then_nothing()
    SUM.given(5, 5).when(_double, limit=9).then_raises(RuleError, match="10 is too much")
    with pytest.raises(AssertionError):
        SUM.given(1).when(_double, limit=9).then(2)
    with pytest.raises(AssertionError):
        SUM.given(1).when(_double, limit=9).then_nothing()
    with pytest.raises(AssertionError):
        SUM.given(10).when(_double, limit=9).then_raises(RuleError, match="much more")
    with pytest.raises(RuleError):
        SUM.given(10).when(_double, limit=9).then_raises(ConflictError)
    with pytest.raises(pytest.fail.Exception):
        SUM.given(1).when(_double, limit=9).then_raises(RuleError)
