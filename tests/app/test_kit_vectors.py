"""The kit's own arithmetic of the tree has the published verdicts: it shares no code with ours, so it is tried too."""

from __future__ import annotations

import base64
import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from muniment.app import kit
from tests.domain.test_proof import KINDS, VECTORS


@pytest.fixture(scope="module")
def program() -> ModuleType:
    """Return the kit's program as a module."""
    spec = importlib.util.spec_from_file_location("the_kit", Path(kit.__file__).parent / kit.PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def holds(program: ModuleType, kind: str, vector: dict[str, Any]) -> bool:
    """Say what the kit says of one vector."""
    proof = [base64.b64decode(each) for each in vector["proof"] or []]
    first, second = ("leafHash", "root") if kind == "inclusion" else ("root1", "root2")
    one, two = base64.b64decode(vector[first]), base64.b64decode(vector[second])
    try:
        if kind == "inclusion":
            return bool(program.inclusion_root(vector["leafIdx"], vector["treeSize"], one, proof) == two)
        program.check_consistency(vector["size1"], vector["size2"], proof, one, two)
    except program.Refused:
        return False
    return True


@pytest.mark.parametrize("kind", ["inclusion", "consistency"])
def test_a12_the_kit_has_the_published_verdicts(program: ModuleType, kind: str) -> None:
    if not VECTORS.is_dir():
        pytest.skip("../shared/schemas/merkle_vectors is not here: the published vectors were not tried")
    vectors = {file: json.loads(file.read_text(encoding="utf-8")) for file in (VECTORS / kind).rglob("*.json")}
    wrong = [
        f"{file.relative_to(VECTORS)}: {vector['desc']}"
        for file, vector in vectors.items()
        if holds(program, kind, vector) == vector["wantErr"]
    ]
    assert (wrong, len(vectors)) == ([], KINDS[kind])
    assert sum(vector["wantErr"] for vector in vectors.values()) > len(vectors) // 2
