"""The way to a server of S3, as tests need it: it counts what is asked, and loses, refuses or cuts what they say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from io import BytesIO
from threading import Lock
from typing import Any, Final, Literal, TypeAlias

from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError, ResponseStreamingError

from muniment.adapters.s3.client import S3Client

Fault: TypeAlias = Literal["refused", "throttled", "timeout", "lost", "cut"]
FAULTS: Final[tuple[Fault, ...]] = ("refused", "throttled", "timeout", "lost", "cut")
REFUSALS: Final = {"refused": ("InternalError", 500), "throttled": ("SlowDown", 503)}
BODIES: Final = "get_object"


class Cut(BytesIO):
    """A body that breaks off in the middle."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content[: len(content) // 2])

    def read(self, size: int | None = -1, /) -> bytes:
        block = super().read(size)
        if not block:
            raise ResponseStreamingError(error="cut")
        return block


class Wire:
    """A client of the SDK between which and the server things go wrong."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.asked: Counter[str] = Counter()
        self.seen: list[tuple[str, dict[str, Any]]] = []
        self.fault: Callable[[str, dict[str, Any]], Fault | None] = lambda _operation, _arguments: None
        self.ignored: set[str] = set()
        """Arguments that this server knows nothing of."""
        self._lock = Lock()

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def call(**arguments: Any) -> Any:
            with self._lock:
                self.asked[operation] += 1
                self.seen.append((operation, arguments))
                fault = self.fault(operation, arguments)
            if fault in REFUSALS:
                code, status = REFUSALS[fault]
                said = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
                raise ClientError(said, operation)
            if fault == "timeout":
                raise ReadTimeoutError(endpoint_url="")
            heard = {name: value for name, value in arguments.items() if name not in self.ignored}
            answer = getattr(self.client, operation)(**heard)
            if fault == "lost" or (fault == "cut" and operation != BODIES):
                if operation == BODIES:
                    answer["Body"].close()  # nobody else will: its socket would be left to the garbage collector
                raise ConnectionClosedError(endpoint_url="")
            if fault == "cut":
                answer["Body"] = Cut(answer["Body"].read())
            return answer

        return call

    def every_other(self, fault: Fault) -> None:
        """From now on, let the first attempt of every request fail, and the second one pass."""
        failed: set[str] = set()

        def decide(operation: str, arguments: dict[str, Any]) -> Fault | None:
            named = {name: value for name, value in arguments.items() if name not in {"Body", "Range", "Metadata"}}
            which = f"{operation} {named}"
            if which in failed:
                failed.discard(which)
                return None
            failed.add(which)
            return fault

        self.fault = decide

    def all_after(self, count: int, fault: Fault) -> None:
        """From the request on after the next *count*, let all fail."""
        left = [count]

        def decide(_operation: str, _arguments: dict[str, Any]) -> Fault | None:
            left[0] -= 1
            return fault if left[0] < 0 else None

        self.fault = decide

    def heal(self) -> None:
        """Let nothing fail any more."""
        self.fault = lambda _operation, _arguments: None

    @property
    def total(self) -> int:
        """How many requests were sent."""
        return self.asked.total()

    def s3(self, attempts: int = 8) -> S3Client:
        """Return S3 as the stores use it, over this wire; it does not pause."""
        return S3Client(connect=lambda: self, pause=lambda _: None, attempts=attempts)
