"""Objects that stay where they are, tracked without copying: one file per family of URI schemes."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from hashlib import sha256
from io import BufferedIOBase, RawIOBase
from typing import Final, TypeVar
from urllib.parse import SplitResult, unquote, urlsplit

from muniment.domain.errors import InvalidValueError
from muniment.domain.values import holds_password, shown_uri

BUFFER_BYTES: Final = 1 << 20
AT_ONCE: Final = 4
AHEAD: Final = 64

Item = TypeVar("Item")
Result = TypeVar("Result")

_CONTROL = re.compile(r"[\x00-\x1f\x7f]|[\ud800-\udfff]")


def split(uri: str, schemes: tuple[str, ...]) -> SplitResult:
    """Take a URI apart, refusing what the standard library would drop or guess silently."""
    shown = shown_uri(uri)
    if _CONTROL.search(uri):
        msg = f"reference {shown!r} holds a control character — percent-encode it in a URL, or rename the object"
        raise InvalidValueError(msg)
    try:
        parts = urlsplit(uri)
    except ValueError as error:
        msg = f"reference {shown!r} is no URI — write scheme://place/path"
        raise InvalidValueError(msg) from (None if holds_password(uri) else error)
    if parts.scheme not in schemes:
        msg = f"reference {shown!r} is none of {', '.join(scheme + '://' for scheme in schemes)}"
        raise InvalidValueError(msg)
    return parts


def last_part(path: str) -> str:
    """Return what the last part of a percent-encoded path is called."""
    return unquote(path.rstrip("/").rpartition("/")[2])


def limited(found: Iterable[Item], limit: int) -> Iterator[Item]:
    """Pass objects on until there are too many."""
    for number, each in enumerate(found, 1):
        if number > limit:
            msg = f"Exceeded {limit} objects tracked, pass max_objects to add_reference"
            raise InvalidValueError(msg)
        yield each


def in_order(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Do some work on a few items at a time; the results come in the order of the items."""
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def hashed(source: RawIOBase | BufferedIOBase) -> tuple[str, int]:
    """Read to the end; return ``sha256:<hex>`` and the number of bytes."""
    found, size = sha256(), 0
    buffer = bytearray(BUFFER_BYTES)
    with memoryview(buffer) as view:
        while count := source.readinto(view):
            found.update(view[:count])
            size += count
    return f"sha256:{found.hexdigest()}", size
