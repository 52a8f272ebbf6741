"""Requests to S3: the SDK's client, asked again with back-off and jitter while an answer may still come."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from random import SystemRandom
from threading import Lock
from typing import Any, Final

from attrs import define, field

from muniment.adapters.s3.errors import is_passing, translated
from muniment.domain.errors import StorageError

ATTEMPTS: Final = 8
FIRST_PAUSE: Final = 0.2
LONGEST_PAUSE: Final = 20.0
CONNECTIONS: Final = 32
SECONDS_TO_CONNECT: Final = 10
SECONDS_TO_READ: Final = 60
_CHANCE: Final = SystemRandom()


def connect() -> object:
    """Return a client of the SDK: endpoint, region and credentials are found where the SDK looks for them.

    It makes a single attempt (attempts are counted here), never the CRT transport (which ignores endpoints), and
    checks no checksums of its own: servers differ in them, and every byte is verified against its SHA-256 anyway.
    """
    try:
        import boto3.session  # noqa: PLC0415 (half a second that only who uses S3 pays)
        from botocore.config import Config  # noqa: PLC0415
    except ImportError as error:
        msg = "S3 needs boto3, which is not installed — pip install 'muniment[s3]'"
        raise StorageError(msg) from error

    ours = not {"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"} & os.environ.keys()
    endpoint = os.environ.get("AWS_S3_ENDPOINT_URL") if ours else None  # what W&B calls it
    config = Config(
        retries={"total_max_attempts": 1, "mode": "standard"},
        connect_timeout=SECONDS_TO_CONNECT,
        read_timeout=SECONDS_TO_READ,
        max_pool_connections=CONNECTIONS,
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        user_agent_extra="muniment",
        tcp_keepalive=True,
    )
    return boto3.session.Session().client("s3", config=config, endpoint_url=endpoint)


@define
class S3Client:
    """S3 as the stores use it; for several threads, and for processes that come of a fork."""

    connect: Callable[[], object] = connect
    pause: Callable[[float], None] = time.sleep
    attempts: int = ATTEMPTS
    _process: int = field(default=0, init=False)
    _client: Any = field(default=None, init=False)
    _lock: Lock = field(factory=Lock, init=False)

    def call(self, operation: str, **arguments: object) -> dict[str, Any]:
        """Send one request, again while that may help; a ``Body`` that can be called is made anew for each attempt."""
        for last in self.tries():
            try:
                return self.once(operation, **arguments)
            except StorageError as error:
                if last or not is_passing(error):
                    raise
        raise AssertionError  # the last try returns or raises

    def once(self, operation: str, **arguments: object) -> dict[str, Any]:
        """Send one request once."""
        try:
            client = self._connected()
            body = arguments.get("Body")
            sent = {**arguments, "Body": body()} if callable(body) else arguments
            answer: dict[str, Any] = getattr(client, operation)(**sent)
        except StorageError:
            raise
        except Exception as error:
            if not _is_of_the_sdk(error):
                raise
            raise translated(operation, arguments, error) from error
        return answer

    def tries(self) -> Iterator[bool]:
        """Yield, for each attempt, whether it is the last; between them a pause that grows, of random length."""
        for attempt in range(self.attempts):
            if attempt:
                self.pause(_CHANCE.uniform(0, min(LONGEST_PAUSE, FIRST_PAUSE * 2**attempt)))
            yield attempt == self.attempts - 1

    def pages(self, operation: str, **arguments: object) -> Iterator[dict[str, Any]]:
        """Yield the pages of a listing."""
        while True:
            page = self.call(operation, **arguments)
            yield page
            if not page.get("IsTruncated"):
                return
            arguments = {**arguments, **_next(operation, page)}

    def _connected(self) -> object:
        """Return the client of this process: connections must not be shared with the one that it was forked from."""
        if self._process != os.getpid():
            self._lock, self._client, self._process = Lock(), None, os.getpid()
        with self._lock:
            if self._client is None:
                self._client = self.connect()
            return self._client


def _next(operation: str, page: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments that lead to the page after this one."""
    names = {
        "list_objects_v2": {"ContinuationToken": "NextContinuationToken"},
        "list_object_versions": {"KeyMarker": "NextKeyMarker", "VersionIdMarker": "NextVersionIdMarker"},
        "list_multipart_uploads": {"KeyMarker": "NextKeyMarker", "UploadIdMarker": "NextUploadIdMarker"},
        "list_parts": {"PartNumberMarker": "NextPartNumberMarker"},
    }[operation]
    found = {name: page[said] for name, said in names.items() if page.get(said)}
    if not found:
        msg = f"S3 said that {operation} goes on, and not where — the listing cannot be trusted"
        raise StorageError(msg)
    return found


def _is_of_the_sdk(error: Exception) -> bool:
    """Whether the SDK, or the network below it, raised this."""
    from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError  # noqa: PLC0415
    from urllib3.exceptions import HTTPError  # noqa: PLC0415

    return isinstance(error, BotoCoreError | ClientError | HTTPClientError | HTTPError | OSError)
