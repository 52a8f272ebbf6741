"""The error classes, where users of W&B's library look for them: ``from muniment.errors import CommError``."""

from __future__ import annotations

from muniment.app.sdk.errors import (
    ArtifactFinalizedError,
    ArtifactNotLoggedError,
    ArtifactStatusError,
    CommError,
    ConfigError,
    Error,
    RunFinishedError,
    UnsupportedError,
    UploadError,
    UsageError,
    WaitTimeoutError,
)
from muniment.domain.errors import MunimentError

__all__ = [
    "ArtifactFinalizedError",
    "ArtifactNotLoggedError",
    "ArtifactStatusError",
    "CommError",
    "ConfigError",
    "Error",
    "MunimentError",
    "RunFinishedError",
    "UnsupportedError",
    "UploadError",
    "UsageError",
    "WaitTimeoutError",
]
