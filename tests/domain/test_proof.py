"""Proofs about the hash tree agree with RFC 6962 and with the published vectors, and a false one is refused."""

from __future__ import annotations

import base64
import json
import tracemalloc
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muniment.domain.errors import CorruptError, InvalidValueError, ProofError
from muniment.domain.merkle import EMPTY_ROOT, TILE, Frontier, leaf_hash, node_hash
from muniment.domain.proof import Tree, may_stand, verify_consistency, verify_inclusion, verify_subtree
from muniment.domain.values import LARGEST

VECTORS = Path(__file__).resolve().parents[3] / "shared" / "schemas" / "merkle_vectors"
KINDS = {"inclusion": 98, "consistency": 98, "subtreeinclusion": 204, "subtreeconsistency": 118}


def naive(leaves: Sequence[bytes]) -> bytes:
    """Compute a root as RFC 6962, section 2.1, defines it."""
    if len(leaves) < 2:
        return leaves[0] if leaves else EMPTY_ROOT
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return node_hash(naive(leaves[:half]), naive(leaves[half:]))


def path(index: int, leaves: Sequence[bytes]) -> list[bytes]:
    """Compute an inclusion proof as RFC 6962, section 2.1.1, defines it."""
    if len(leaves) == 1:
        return []
    half = 1 << (len(leaves) - 1).bit_length() - 1
    if index < half:
        return [*path(index, leaves[:half]), naive(leaves[half:])]
    return [*path(index - half, leaves[half:]), naive(leaves[:half])]


def subproof(old: int, leaves: Sequence[bytes], *, known: bool = True) -> list[bytes]:
    """Compute a consistency proof as RFC 6962, section 2.1.2, defines it."""
    if old == len(leaves):
        return [] if known else [naive(leaves)]
    half = 1 << (len(leaves) - 1).bit_length() - 1
    if old <= half:
        return [*subproof(old, leaves[:half], known=known), naive(leaves[half:])]
    return [*subproof(old - half, leaves[half:], known=False), naive(leaves[:half])]


def leaves_of(count: int) -> list[bytes]:
    return [leaf_hash(str(number).encode()) for number in range(count)]


def tree(leaves: Sequence[bytes]) -> Tree:
    """Return the tree over these leaves, with the tiles that appending them gives."""
    levels: dict[int, list[bytes]] = {0: list(leaves)}
    frontier = Frontier()
    for leaf in leaves:
        for tile in frontier.append(leaf):
            assert tile.number == len(levels.setdefault(tile.level, []))
            levels[tile.level].append(tile.hash)
    return Tree(len(leaves), lambda level, first, last: levels.get(level, [])[first:last])


SIZES = st.one_of(st.integers(1, 40), st.integers(250, 520), st.sampled_from([256, 512, 768, 1025]))


@given(SIZES, st.data())
def test_proofs_are_those_that_rfc_6962_defines_and_verify(size: int, data: st.DataObject) -> None:
    leaves = leaves_of(size)
    whole, root = tree(leaves), naive(leaves)
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    assert whole.root() == root
    inclusion, consistency = whole.inclusion(index), whole.consistency(old)
    assert (inclusion, consistency) == (path(index, leaves), subproof(old, leaves))
    verify_inclusion(index, size, leaves[index], inclusion, root)
    verify_consistency(old, size, consistency, naive(leaves[:old]), root)


@given(st.integers(1, 300), st.data())
def test_whatever_is_changed_in_a_proof_it_is_refused(size: int, data: st.DataObject) -> None:
    leaves = leaves_of(size)
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    root, other = naive(leaves), data.draw(st.binary(min_size=32, max_size=32))
    for arguments, verify in (
        ((index, size, leaves[index], path(index, leaves), root), verify_inclusion),
        ((old, size, subproof(old, leaves), naive(leaves[:old]), root), verify_consistency),
    ):
        for changed in mutations(list(arguments), other, data):
            if changed != list(arguments):
                with pytest.raises(ProofError):
                    verify(*changed)


def mutations(arguments: list[Any], other: bytes, data: st.DataObject) -> list[list[Any]]:
    """Return the arguments of a verification with one thing changed in each."""
    where, size, *rest = arguments
    at = next(number for number, each in enumerate(arguments) if isinstance(each, list))
    proof = arguments[at]
    place = data.draw(st.integers(0, len(proof)))
    proofs = [[*proof[:place], other, *proof[place:]], [*proof, other], [other, *proof], [*proof, proof[-1:] or other]]
    proofs += [proof[:-1], proof[1:], proof[::-1], [*proof[:place], other, *proof[place + 1 :]]]
    proofs = [[each if isinstance(each, bytes) else other for each in made] for made in proofs]
    found = [[*arguments[:at], made, *arguments[at + 1 :]] for made in proofs if made != proof]
    found += [[-1, size, *rest], [size + 1, size, *rest], [2**64, size, *rest], [where, 0, *rest], [where, -5, *rest]]
    found += [[*arguments[:-1], other], [*arguments[:-1], b""], [*arguments[:-1], arguments[-1] + b"\0"]]
    return found


def test_a_node_is_no_leaf() -> None:
    leaves = leaves_of(4)
    node = node_hash(leaves[0], leaves[1])
    with pytest.raises(ProofError):
        verify_inclusion(0, 4, leaf_hash(leaves[0] + leaves[1]), [node_hash(leaves[2], leaves[3])], naive(leaves))
    # A verifier that is told a hash instead of content cannot know; that is why sizes are signed.
    verify_inclusion(0, 2, node, [node_hash(leaves[2], leaves[3])], naive(leaves))


def test_sizes_beyond_any_ledger_are_refused_at_once() -> None:
    for size in (LARGEST + 1, 2**64, 10**400):
        with pytest.raises(ProofError):
            verify_inclusion(size - 1, size, EMPTY_ROOT, [], EMPTY_ROOT)


def test_what_is_not_there_cannot_be_proved() -> None:
    whole = tree(leaves_of(5))
    for index in (-1, 5):
        with pytest.raises(InvalidValueError, match=f"no event {index + 1} among the first 5"):
            whole.inclusion(index)
    with pytest.raises(InvalidValueError, match="do not begin with 6"):
        whole.consistency(6)
    assert (whole.consistency(0), whole.consistency(5), tree([]).root()) == ([], [], EMPTY_ROOT)
    with pytest.raises(ProofError, match="do not lead"):
        verify_subtree((2, 2), 5, EMPTY_ROOT, [EMPTY_ROOT], EMPTY_ROOT)


@pytest.mark.parametrize("damage", [lambda found: found[:-1], lambda found: [b"", *found[1:]]], ids=["short", "empty"])
def test_damaged_tiles_are_named(damage: Callable[[Sequence[bytes]], Sequence[bytes]]) -> None:
    leaves = leaves_of(3 * TILE)
    sound = tree(leaves)
    with pytest.raises(CorruptError, match="level 1, from 0"):
        Tree(sound.size, lambda *where: damage(sound._read(*where)) if where[0] else sound._read(*where)).inclusion(0)  # noqa: SLF001


def test_a_proof_reads_a_few_tiles_of_a_large_tree() -> None:
    reads = []

    def read(level: int, first: int, last: int) -> list[bytes]:
        reads.append((level, last - first))
        return [bytes(32)] * (last - first)

    assert len(Tree(10**6, read).inclusion(123_456)) == 20
    assert len(reads) <= 6
    assert sum(count for _, count in reads) < 900


MILLION = 10**6
PAGE_OF_LEAVES = [leaf_hash(str(number).encode()) for number in range(TILE)]


@cache
def root_of_million(begin: int, size: int) -> bytes:
    """Compute a root as RFC 6962 does, over leaves that repeat with each tile."""
    if size == 1:
        return PAGE_OF_LEAVES[begin % TILE]
    half = 1 << (size - 1).bit_length() - 1
    return node_hash(root_of_million(begin % TILE, half), root_of_million((begin + half) % TILE, size - half))


def test_a20_a_proof_among_a_million_leaves_takes_twenty_hashes_and_little_memory() -> None:
    reads: list[tuple[int, int]] = []

    def read(level: int, first: int, last: int) -> list[bytes]:
        reads.append((level, last - first))
        if level == 0:
            return [PAGE_OF_LEAVES[number % TILE] for number in range(first, last)]
        return [root_of_million(0, TILE**level)] * (last - first)

    root = root_of_million(0, MILLION)
    for index in (0, 255, 256, 123_456, 524_288, MILLION - 1):
        reads.clear()
        tracemalloc.start()
        try:
            whole = Tree(MILLION, read)
            proof = whole.inclusion(index)
            verify_inclusion(index, MILLION, PAGE_OF_LEAVES[index % TILE], proof, root)
            assert tracemalloc.get_traced_memory()[1] < 100_000
        finally:
            tracemalloc.stop()
        assert len(proof) <= 20
        assert sum(count for _, count in reads) <= 4 * TILE
    consistency = Tree(MILLION, read).consistency(654_321)
    verify_consistency(654_321, MILLION, consistency, root_of_million(0, 654_321), root)
    assert len(consistency) <= 40


# --- the published vectors --------------------------------------------------------------------------------------------


def decoded(text: str) -> bytes:
    return base64.b64decode(text)


def verify(kind: str, vector: dict[str, Any]) -> None:
    proof = [decoded(each) for each in vector["proof"] or []]
    roots = [decoded(vector[name]) for name in ("root", "leafHash", "root1", "root2") if name in vector]
    match kind:
        case "inclusion":
            verify_inclusion(vector["leafIdx"], vector["treeSize"], roots[1], proof, roots[0])
        case "subtreeinclusion":
            start, end = vector["start"], vector["end"]
            if start < end and not may_stand(start, end):
                raise ProofError
            verify_inclusion(vector["leafIdx"] - start, end - start, roots[1], proof, roots[0])
        case "consistency":
            verify_consistency(vector["size1"], vector["size2"], proof, *roots)
        case _:
            verify_subtree((vector["start"], vector["end"]), vector["size"], roots[0], proof, roots[1])


@pytest.mark.parametrize("kind", KINDS)
def test_the_published_vectors_have_the_published_verdicts(kind: str) -> None:
    if not VECTORS.is_dir():
        pytest.skip("../shared/schemas/merkle_vectors is not here: the published vectors were not tried")
    wrong = []
    files = sorted((VECTORS / kind).rglob("*.json"))
    for file in files:
        vector = json.loads(file.read_text(encoding="utf-8"))
        try:
            verify(kind, vector)
        except ProofError:
            refused = True
        else:
            refused = False
        if refused != vector["wantErr"]:
            wrong.append(f"{file.relative_to(VECTORS)}: {vector['desc']}")
    assert (wrong, len(files)) == ([], KINDS[kind])
