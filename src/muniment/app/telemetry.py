"""Spans for OpenTelemetry: how long acts take, with ids and counts, and nothing that anybody typed.

Off unless ``MUNIMENT_OTEL`` is set: then nothing is imported, and a span costs a look at a variable. Where spans go
is for the program's own provider to say.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, BinaryIO, Final, ParamSpec, TypeVar

from attrs import frozen

from muniment.app.config import Config
from muniment.domain.errors import StorageError
from muniment.domain.evidence import Search
from muniment.domain.ports import BlobResult, BlobSource, BlobStore
from muniment.domain.values import Digest, Micros

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

P = ParamSpec("P")
R = TypeVar("R")

NAME: Final = "muniment"
Facts = Mapping[str, str | int | None]
"""Ids and counts."""

_tracers: list[Tracer] = []
"""The tracer in use, or nothing."""


def set_up(config: Config) -> None:
    """Make spans from now on, if the settings say so; StorageError if what is needed is not installed."""
    _tracers.clear()
    if not config.flag("otel"):
        return
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.trace") is None:
        msg = "MUNIMENT_OTEL needs opentelemetry-api, which is not installed — pip install 'muniment[otel]'"
        raise StorageError(msg)
    from opentelemetry import trace  # noqa: PLC0415 (who asks for no spans does not load it)

    _tracers.append(trace.get_tracer(NAME))


def traced(
    name: str,
    facts: Callable[[Any], Facts] | None = None,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a span of every call of a use case; *facts* says what of its result the span holds."""

    def decorate(act: Callable[P, R]) -> Callable[P, R]:
        @wraps(act)
        def acting(*args: P.args, **kwargs: P.kwargs) -> R:
            if not _tracers:
                return act(*args, **kwargs)
            with _current(name) as span:
                result = act(*args, **kwargs)
                if facts is not None:
                    _put(span, facts(result))
                return result

        return acting

    return decorate


def call(name: str, act: Callable[[], R], facts: Facts, told: Callable[[R], Facts]) -> R:
    """Do *act* inside a span that holds *facts*, and what is *told* of the result."""
    if not _tracers:
        return act()
    with _current(name) as span:
        _put(span, facts)
        result = act()
        _put(span, told(result))
        return result


def carried(work: Callable[P, R]) -> Callable[P, R]:
    """Return work for another thread, whose spans belong to the one that is open here."""
    if not _tracers:
        return work
    here = contextvars.copy_context()

    def working(*args: P.args, **kwargs: P.kwargs) -> R:
        return here.copy().run(work, *args, **kwargs)

    return working


@contextmanager
def _current(name: str) -> Iterator[Span]:
    # what an error says may hold names and paths: only its class is kept
    with _tracers[0].start_as_current_span(
        f"{NAME}.{name}", record_exception=False, set_status_on_exception=False
    ) as span:
        try:
            yield span
        except BaseException as error:
            _fail(span, error)
            raise


def _fail(span: Span, error: BaseException) -> None:
    from opentelemetry.trace import StatusCode  # noqa: PLC0415

    span.set_attribute("error.type", type(error).__name__)
    span.set_status(StatusCode.ERROR)


def _put(span: Span, facts: Facts) -> None:
    for name, value in facts.items():
        if value is not None:
            span.set_attribute(f"{NAME}.{name}", value)


# --- blobs -----------------------------------------------------------------------------------------------------------


def watch(blobs: BlobStore) -> BlobStore:
    """Return a blob store each of whose calls is a span, or without spans the store itself."""
    return _Watched(blobs) if _tracers else blobs


@frozen
class _Watched:
    """A blob store that makes spans of its calls; a digest names content, so none is in them."""

    inner: BlobStore

    def put_many(self, blobs: Iterable[BlobSource]) -> Iterator[BlobResult]:
        """Store blobs."""
        return _stream("blobs.put_many", self.inner.put_many(blobs))

    def get(self, digest: Digest) -> bytes:
        """Return a small blob."""
        return call("blobs.get", lambda: self.inner.get(digest), {}, lambda content: {"bytes": len(content)})

    def open(self, digest: Digest, start: int = 0, length: int | None = None) -> BinaryIO:
        """Open a blob."""
        return call("blobs.open", lambda: self.inner.open(digest, start, length), {"start": start}, lambda _: {})

    def missing(self, digests: Collection[Digest]) -> set[Digest]:
        """Return what is not stored."""
        asked = {"blobs": len(digests)}
        return call("blobs.missing", lambda: self.inner.missing(digests), asked, lambda found: {"missing": len(found)})

    def delete_many(self, digests: Iterable[Digest]) -> Iterator[BlobResult]:
        """Delete blobs."""
        return _stream("blobs.delete_many", self.inner.delete_many(digests))

    def list(self) -> Iterator[tuple[Digest, int]]:
        """Yield what is stored."""
        return _stream("blobs.list", self.inner.list())

    def sweep(self, older_than: Micros) -> int:
        """Remove leftovers."""
        return call("blobs.sweep", lambda: self.inner.sweep(older_than), {}, lambda freed: {"bytes": freed})

    def verify(self) -> Iterator[str]:
        """Yield faults."""
        return _stream("blobs.verify", self.inner.verify())

    def search(self, digests: Collection[Digest]) -> Search:
        """Look for copies."""
        asked = {"blobs": len(digests)}
        return call("blobs.search", lambda: self.inner.search(digests), asked, lambda seen: {"found": len(seen.copies)})


def _stream(name: str, items: Iterator[R]) -> Iterator[R]:
    """Yield items inside a span that ends with them; between two of them, other work goes on outside of it."""
    span = _tracers[0].start_span(f"{NAME}.{name}") if _tracers else None
    if span is None:
        yield from items
        return
    count = failed = 0
    try:
        for item in items:
            count += 1
            failed += isinstance(item, BlobResult) and item.error is not None
            yield item
    except BaseException as error:
        if not isinstance(error, GeneratorExit):
            _fail(span, error)
        raise
    finally:
        _put(span, {"items": count, "failed": failed})
        span.end()
