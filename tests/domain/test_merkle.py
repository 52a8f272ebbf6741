"""The hash tree agrees with RFC 6962, however it was grown."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muniment.domain.merkle import EMPTY_ROOT, TILE, Frontier, leaf_hash, node_hash, tree_root

# The entries and roots of Certificate Transparency's reference implementation.
ENTRIES = [
    bytes.fromhex(entry)
    for entry in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
LEAVES = st.lists(st.binary(max_size=4).map(leaf_hash), max_size=70)


def defined(leaves: list[bytes]) -> bytes:
    """Compute the root as section 2.1 of RFC 6962 defines it, by halves."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    return sha256(b"\x01" + defined(leaves[:half]) + defined(leaves[half:])).digest()


def test_every_root_of_the_reference_tree() -> None:
    frontier = Frontier()
    roots = [frontier.root().hex()]
    for entry in ENTRIES:
        frontier.append(leaf_hash(entry))
        roots.append(frontier.root().hex())
    assert roots == ROOTS


def test_leaves_and_nodes_are_told_apart() -> None:
    assert sha256(b"").digest() == EMPTY_ROOT
    assert leaf_hash(b"data") == sha256(b"\x00data").digest()
    assert node_hash(b"l" * 32, b"r" * 32) == sha256(b"\x01" + b"l" * 32 + b"r" * 32).digest()
    assert leaf_hash(b"l" * 32 + b"r" * 32) != node_hash(b"l" * 32, b"r" * 32)


@given(LEAVES)
def test_growing_leaf_by_leaf_gives_the_defined_root(leaves: list[bytes]) -> None:
    frontier = Frontier()
    for count, leaf in enumerate(leaves, 1):
        frontier.append(leaf)
        assert frontier.size == count
        assert frontier.root() == defined(leaves[:count])
    assert tree_root(iter(leaves)) == frontier.root() == defined(leaves)


@given(LEAVES, st.data())
def test_a_restored_frontier_goes_on_equally(leaves: list[bytes], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(leaves)))
    before = Frontier()
    for leaf in leaves[:cut]:
        before.append(leaf)
    after = Frontier(before.size, before.roots())
    for leaf in leaves[cut:]:
        after.append(leaf)
    assert (after.size, after.root()) == (len(leaves), defined(leaves))
    assert (before.size, before.root()) == (cut, defined(leaves[:cut]))


@given(LEAVES)
def test_what_is_stored_is_one_root_for_each_one_bit(leaves: list[bytes]) -> None:
    frontier = Frontier()
    for leaf in leaves:
        frontier.append(leaf)
    assert len(frontier.roots()) == 32 * len(leaves).bit_count()


@pytest.mark.parametrize(("size", "count"), [(0, 1), (1, 0), (3, 1), (4, 2)])
def test_roots_that_do_not_fit_the_size_are_refused(size: int, count: int) -> None:
    with pytest.raises(ValueError, match=f"frontier of {size} leaves"):
        Frontier(size, bytes(32 * count))


@pytest.mark.parametrize("tiles", [0, 1, 2, 255, 256, 257])
def test_a_tile_at_once_is_the_same_as_its_leaves(tiles: int) -> None:
    one, other = Frontier(), Frontier()
    leaf = leaf_hash(b"same")
    root = tree_root([leaf] * TILE)
    for _ in range(tiles):
        each = [tile for _ in range(TILE) for tile in one.append(leaf)]
        assert list(other.append_tile(root)) == each
    assert (other.size, other.roots()) == (one.size, one.roots()) == (tiles * TILE, one.roots())
    assert other.append(leaf) == ()
    with pytest.raises(ValueError, match="cannot follow"):
        other.append_tile(root)
