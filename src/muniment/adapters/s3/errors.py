"""What S3 and the way to it may answer, in our errors; they hold no credentials and no address of a server."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from muniment.domain.errors import NotFoundError, StorageError, StorageFullError

PASSING_CODES: Final = frozenset(
    {
        "BandwidthLimitExceeded",
        "ConditionalRequestConflict",
        "EC2ThrottledException",
        "InternalError",
        "OperationAborted",
        "PriorRequestNotComplete",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServiceUnavailable",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "TooManyRequestsException",
        "XAmzContentSHA256Mismatch",
    }
)
"""Refusals that need not be the answer when the same is asked a little later."""
PASSING_STATUS: Final = frozenset({408, 429, 500, 502, 503, 504})
FULL: Final = frozenset({"InsufficientCapacity", "QuotaExceeded", "XMinioStorageFull"})
WAYS_OUT: Final = {
    "AccessDenied": "let the credentials in use do that, by the bucket's policy or the user's",
    "AuthorizationHeaderMalformed": "set AWS_DEFAULT_REGION to the region of the bucket",
    "BadDigest": "what was to be sent changed meanwhile, log it again",
    "ExpiredToken": "renew the SDK's credentials",
    "InvalidAccessKeyId": "check the SDK's credentials",
    "KMS.DisabledException": "enable the key that MUNIMENT_S3_SSE_KMS_KEY_ID names, or the bucket's own",
    "KMS.NotFoundException": "check MUNIMENT_S3_SSE_KMS_KEY_ID",
    "NoSuchBucket": "make the bucket, or correct its name",
    "PermanentRedirect": "set AWS_DEFAULT_REGION to the region of the bucket",
    "RequestTimeTooSkewed": "set the clock of this machine",
    "SignatureDoesNotMatch": "check the SDK's credentials",
    "403": "let the credentials in use do that, by the bucket's policy or the user's",
}
UNSUPPORTED: Final = frozenset({HTTPStatus.NOT_IMPLEMENTED, HTTPStatus.METHOD_NOT_ALLOWED})


class RefusedError(StorageError):
    """S3 answered that it will not: with this ``code`` and HTTP ``status``."""

    def __init__(self, operation: str, where: str, code: str, status: int) -> None:
        way_out = WAYS_OUT.get(code, "try again later" if code in PASSING_CODES or status in PASSING_STATUS else "")
        super().__init__(f"S3 refused {operation} of {where}: {code} ({status})" + (f" — {way_out}" if way_out else ""))
        self.code = code
        self.status = status

    @property
    def absent(self) -> bool:
        """Whether there is nothing of that name; a bucket that is not there is another matter."""
        return self.status == HTTPStatus.NOT_FOUND and self.code != "NoSuchBucket"

    @property
    def there_already(self) -> bool:
        """Whether it was to be created only if it was not there, and is."""
        return self.status == HTTPStatus.PRECONDITION_FAILED

    @property
    def beyond_the_end(self) -> bool:
        """Whether bytes were asked for that lie behind the last one."""
        return self.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE

    @property
    def denied(self) -> bool:
        """Whether the credentials do not allow it, or something holds the object."""
        return self.status == HTTPStatus.FORBIDDEN or self.code == "AccessDenied"

    @property
    def unsupported(self) -> bool:
        """Whether this server does not know the request."""
        return self.status in UNSUPPORTED or self.code in {"NotImplemented", "UnsupportedOperation"}

    @property
    def passing(self) -> bool:
        """Whether the same request may succeed a little later."""
        return self.code in PASSING_CODES or self.status in PASSING_STATUS


class BrokenError(StorageError):
    """Nothing came back, or not all of it; whether the request was carried out is not known."""


def where(arguments: Mapping[str, Any]) -> str:
    """Say which object or bucket a request is about."""
    key = arguments.get("Key", arguments.get("Prefix"))
    bucket = arguments.get("Bucket", "")
    return f"s3://{bucket}/{key}" if key else f"s3://{bucket}"


def translated(operation: str, arguments: Mapping[str, Any], error: Exception) -> StorageError:
    """Return what the SDK raised as an error of ours; ``passing`` ones are worth another attempt."""
    response = getattr(error, "response", None)
    if isinstance(response, Mapping) and "Error" in response:
        code = str(response["Error"].get("Code") or "Unknown")
        status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        if code in FULL or status == HTTPStatus.INSUFFICIENT_STORAGE:
            return StorageFullError(f"no space is left for {where(arguments)} — free some, or run gc")
        return RefusedError(operation, where(arguments), code, status)
    name = type(error).__name__
    if name in {"NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "ProfileNotFound"}:
        return StorageError(
            f"{operation} of {where(arguments)} needs credentials ({name}) — set them as the AWS SDK expects them: "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
        )
    if name in {"NoRegionError", "InvalidRegionError"}:
        return StorageError(f"{operation} of {where(arguments)} needs a region — set AWS_DEFAULT_REGION")
    if name in {"ParamValidationError", "InvalidEndpointConfigurationError", "UnknownSignatureVersionError"}:
        return StorageError(f"the SDK refuses {operation} of {where(arguments)}: {name} — check its settings")
    return BrokenError(f"{operation} of {where(arguments)} failed on the way: {name} — check AWS_ENDPOINT_URL_S3")


def is_passing(error: StorageError) -> bool:
    """Whether another attempt may help."""
    return isinstance(error, BrokenError) or (isinstance(error, RefusedError) and error.passing)


def absent(uri: str) -> NotFoundError:
    """Say that an object is not there."""
    return NotFoundError(f"{uri} is not there — restore it from a copy, or log its version again")
