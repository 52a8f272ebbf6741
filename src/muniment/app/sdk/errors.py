"""W&B's error classes: each is also an error of our tree and keeps the built-in base that W&B gives it.

::

    Error                            W&B's root; every one of these is a MunimentError
     ├─ CommError                    what was asked of the store failed or is not there (also ValueError, LookupError)
     ├─ UsageError                   the library was used in a way that makes no sense
     ├─ UnsupportedError             this is not offered
     ├─ WaitTimeoutError             a wait took longer than allowed (also TimeoutError)
     ├─ RunFinishedError             the run is over
     └─ UploadError                  an upload in the background failed (also ValueError)
    ArtifactStatusError              an AttributeError: the artifact is not in the state for it
     ├─ ArtifactNotLoggedError       only a logged artifact has it
     └─ ArtifactFinalizedError       a logged artifact's content does not change
"""

from __future__ import annotations

from muniment.domain.errors import MunimentError, NotFoundError, RuleError


class Error(MunimentError):
    """The root of the errors that carry W&B's names."""

    @property
    def message(self) -> str:
        """What is wrong."""
        return str(self)


class CommError(Error, NotFoundError, RuleError):
    """What was asked of the store is not there or was refused; the cause holds the original error."""

    def __init__(self, message: str, exc: Exception | None = None) -> None:
        super().__init__(message)
        self.exc = exc


class UsageError(Error, ValueError):
    """The library was used in a way that makes no sense."""


class UnsupportedError(UsageError):
    """Something that is not offered here."""


class RunFinishedError(UsageError):
    """The run is over, so it takes nothing any more."""


class WaitTimeoutError(Error, TimeoutError):
    """Waiting took longer than it was allowed to."""


class UploadError(Error, ValueError):
    """An upload in the background failed and left no version behind; the cause holds the reason."""


class ArtifactStatusError(MunimentError, AttributeError):
    """The artifact is not in the state that this needs."""

    TEMPLATE = "Artifact is in an invalid state for the requested operation."

    def __init__(self, fullname: str = "Artifact", obj: object = None) -> None:
        method = fullname.rpartition(".")[2]
        super().__init__(self.TEMPLATE.format(name=fullname), name=method, obj=obj)


class ArtifactNotLoggedError(ArtifactStatusError):
    """Only a logged artifact has this."""

    TEMPLATE = (
        "{name!r} used prior to logging artifact or while in offline mode. "
        "Call Artifact.wait() before accessing logged artifact properties."
    )


class ArtifactFinalizedError(ArtifactStatusError):
    """The content of a logged artifact does not change."""

    TEMPLATE = "{name!r} used on logged artifact. Can't modify finalized artifact."
