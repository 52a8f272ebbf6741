"""Lists in pages: whatever the size of a page and wherever one goes on, nothing is lost and nothing comes twice."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from muniment.app.listing import Page
from muniment.app.sdk.pages import Fetch, Paginator, mapped, nested, sifted, sorted_by

Lists = list[list[int]]


def fetching(items: Sequence[int]) -> Fetch[int]:
    def get(start: str | None, size: int) -> Page[int]:
        begin = int(start or 0)
        end = begin + size
        return Page(tuple(items[begin:end]), str(end) if end < len(items) else None)

    return get


def lists_of(lists: Lists) -> Fetch[int]:
    return nested(fetching(range(len(lists))), lambda at: fetching(lists[at]))


def resumed(fetch: Fetch[int], size: int) -> list[int]:
    """Fetch page by page, each from a new list that goes on at the cursor of the one before."""
    found: list[int] = []
    start: str | None = None
    while True:
        page = fetch(start, size)
        found += page.items
        start = page.next
        if start is None:
            return found


LISTS = st.lists(st.lists(st.integers(0, 9), max_size=5), max_size=5)
SIZES = st.integers(1, 7)


@given(LISTS, SIZES)
def test_lists_inside_of_lists_come_one_after_another(lists: Lists, size: int) -> None:
    everything = [item for each in lists for item in each]
    assert resumed(lists_of(lists), size) == everything
    assert list(Paginator(lists_of(lists), size)) == everything


@given(LISTS, SIZES)
def test_what_is_left_out_leaves_no_gap(lists: Lists, size: int) -> None:
    def sifting() -> Fetch[int]:
        return sifted(lists_of(lists), lambda rows: [row % 3 == 0 for row in rows])

    wanted = [item for each in lists for item in each if item % 3 == 0]
    assert resumed(sifting(), size) == wanted
    assert list(Paginator(sifting(), size)) == wanted


@given(LISTS, SIZES, st.booleans())
def test_what_is_sorted_is_sorted_across_pages(lists: Lists, size: int, down: bool) -> None:  # noqa: FBT001
    fetch = sorted_by(lists_of(lists), lambda rows: rows, descending=down)
    everything = sorted((item for each in lists for item in each), reverse=down)
    assert resumed(fetch, size) == everything


@given(st.lists(st.integers(), max_size=20), SIZES, st.slices(20), st.integers(-20, 19))
def test_a_paginator_is_indexed_as_a_list(items: list[int], size: int, part: slice, at: int) -> None:
    found = Paginator(fetching(items), size)
    assert found[part] == items[part]
    if -len(items) <= at < len(items):
        assert found[at] == items[at]
    assert len(found) == len(items)
    assert bool(found) == bool(items)


def test_no_more_is_fetched_than_looked_at() -> None:
    asked: list[str | None] = []

    def get(start: str | None, size: int) -> Page[int]:
        asked.append(start)
        return fetching(range(100))(start, size)

    found = Paginator(mapped(get, str), 10, count=lambda: 100)

    assert not asked
    assert found[11] == "11"
    assert asked == [None, "10"]
    assert len(found) == 100
    assert found.length == 100
    assert asked == [None, "10"]
    assert "and more" in repr(found)
