"""Lists that are fetched page by page when they are looked at, and what can be made of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, TypeAlias, TypeVar, overload

from muniment.app.listing import Page
from muniment.app.sdk.errors import as_comm_error
from muniment.domain.errors import InvalidValueError

T = TypeVar("T")
U = TypeVar("U")

Fetch: TypeAlias = Callable[[str | None, int], Page[T]]
"""Fetches the page after a cursor (``None``: the first one); it may hold a few more or fewer than asked for."""


class Paginator(Generic[T]):
    """A list that is fetched as far as it is looked at; with the *cursor* of an earlier one as *start* it goes on."""

    def __init__(
        self,
        fetch: Fetch[T],
        per_page: int | None = 50,
        start: str | None = None,
        count: Callable[[], int] | None = None,
    ) -> None:
        if per_page is not None and per_page < 1:
            msg = f"per_page is at least 1, not {per_page}"
            raise InvalidValueError(msg)
        self.per_page = per_page or 50
        self._fetch = fetch
        self._start = start
        self._count = None if start is not None else count
        self._items: list[T] = []
        self._next = start
        self._ended = False

    @property
    def cursor(self) -> str | None:
        """Where the list goes on after what was fetched; ``None`` after the last page."""
        return self._next

    @property
    def more(self) -> bool:
        """Whether there may be items that were not fetched yet."""
        return not self._ended

    @property
    def length(self) -> int | None:
        """How many items there are; ``None`` while that is not known without fetching them all."""
        return len(self) if self._ended or self._count is not None else None

    def __len__(self) -> int:
        if self._count is not None and not self._ended:
            return self._count()
        self._load(None)
        return len(self._items)

    def __iter__(self) -> Iterator[T]:
        at = 0
        while self._load(at + 1):
            yield self._items[at]
            at += 1

    def __next__(self) -> T:
        at = getattr(self, "_at", 0)
        if not self._load(at + 1):
            raise StopIteration
        self._at = at + 1
        return self._items[at]

    def next(self) -> T:
        """Return the next item."""
        return next(self)

    @overload
    def __getitem__(self, at: int) -> T: ...
    @overload
    def __getitem__(self, at: slice) -> list[T]: ...
    def __getitem__(self, at: int | slice) -> T | list[T]:
        needed = _needed(at)
        self._load(needed)
        try:
            return self._items[at]
        except IndexError:
            msg = f"the list has {len(self._items)} items, so no item {at}"
            raise IndexError(msg) from None

    def __bool__(self) -> bool:
        return self._load(1)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._items!r}{'' if self._ended else ' and more'}>"

    def _load(self, count: int | None) -> bool:
        """Fetch until there are *count* items (``None``: all); tell whether there are."""
        while not self._ended and (count is None or len(self._items) < count):
            with as_comm_error():
                page = self._fetch(self._next, self.per_page)
            self._items += page.items
            self._next = page.next
            self._ended = page.next is None
        return count is None or len(self._items) >= count


def _needed(at: int | slice) -> int | None:
    """Return how many items must be there for an index or slice; ``None``: all."""
    if isinstance(at, int):
        return at + 1 if at >= 0 else None
    whole = at.stop is None or at.stop < 0 or (at.start or 0) < 0 or (at.step or 1) < 0
    return None if whole else at.stop


def mapped(fetch: Fetch[T], make: Callable[[T], U]) -> Fetch[U]:
    """Make something of every item."""

    def get(start: str | None, size: int) -> Page[U]:
        page = fetch(start, size)
        return Page(tuple(map(make, page.items)), page.next)

    return get


def sifted(fetch: Fetch[T], keep: Callable[[Sequence[T]], Sequence[bool]]) -> Fetch[T]:
    """Leave out the items that *keep* says no to, a page at a time; go on until a page is filled."""

    def get(start: str | None, size: int) -> Page[T]:
        kept: list[T] = []
        while True:
            page = fetch(start, size)
            kept += [item for item, wanted in zip(page.items, keep(page.items), strict=True) if wanted]
            start = page.next
            if start is None or len(kept) >= size:
                return Page(tuple(kept), start)

    return get


def sorted_by(fetch: Fetch[T], keys: Callable[[Sequence[T]], Sequence[Any]], *, descending: bool) -> Fetch[T]:
    """Order by what no index orders by: everything is read once, the cursor is the number of the item."""
    read: list[T] = []

    def get(start: str | None, size: int) -> Page[T]:
        if not read:
            items = list(everything(fetch))
            order = keys(items)
            read.extend(items[at] for at in sorted(range(len(items)), key=order.__getitem__, reverse=descending))
        try:
            begin = int(start or 0)
        except ValueError as error:
            msg = f"{start!r} is no cursor of this list — take it from the page before"
            raise InvalidValueError(msg) from error
        end = begin + size
        return Page(tuple(read[begin:end]), str(end) if end < len(read) else None)

    return get


def nested(outer: Fetch[T], inner: Callable[[T], Fetch[U]]) -> Fetch[U]:
    """Put the lists inside of the items of a list one after another."""

    def get(start: str | None, size: int) -> Page[U]:
        around, within = _read(start)
        found: list[U] = []
        while True:
            around_page = outer(around, 1)
            for item in around_page.items[:1]:
                page = inner(item)(within, size - len(found))
                found += page.items
                within = page.next
            if within is None:
                around = around_page.next
                if around is None:
                    return Page(tuple(found))
            if len(found) >= size:
                return Page(tuple(found), json.dumps([around, within]))

    return get


def everything(fetch: Fetch[T]) -> Iterator[T]:
    """Yield every item of a list."""
    start: str | None = None
    while True:
        page = fetch(start, 1000)
        yield from page.items
        start = page.next
        if start is None:
            return


def _read(cursor: str | None) -> tuple[str | None, str | None]:
    if cursor is None:
        return None, None
    try:
        around, within = json.loads(cursor)
    except (ValueError, TypeError) as error:
        msg = f"{cursor!r} is no cursor of this list — take it from the page before"
        raise InvalidValueError(msg) from error
    return around, within
