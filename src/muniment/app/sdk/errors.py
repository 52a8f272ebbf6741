"""W&B's error classes: each is also an error of our tree and keeps the built-in base that W&B gives it.

::

    Error                            W&B's root; every one of these is a MunimentError
     ├─ CommError                    the store refused what was asked, or does not have it; each is also the error of
     │                               our tree that it was, such as NotFoundError
     ├─ UsageError                   the library was used in a way that makes no sense
     ├─ UnsupportedError             this is not offered
     ├─ WaitTimeoutError             a wait took longer than allowed (also TimeoutError)
     ├─ ConfigError                  a key of the configuration was given another value
     ├─ RunFinishedError             the run is over
     └─ UploadError                  an upload in the background failed in an unforeseen way (also ValueError)
    ArtifactStatusError              an AttributeError: the artifact is not in the state for it
     ├─ ArtifactNotLoggedError       only a logged artifact has it
     └─ ArtifactFinalizedError       a logged artifact's content does not change
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from muniment.domain.errors import ConflictError, MunimentError, NotFoundError, RuleError


class Error(MunimentError):
    """The root of the errors that carry W&B's names."""

    @property
    def message(self) -> str:
        """What is wrong."""
        return str(self)


class CommError(Error, ValueError):
    """What was asked of the store is not there or was refused; the cause holds the original error."""

    def __init__(self, message: str, exc: Exception | None = None) -> None:
        super().__init__(message)
        self.exc = exc


class NotThereError(CommError, NotFoundError):
    """The store does not have what was asked of it."""


class UsageError(Error, ValueError):
    """The library was used in a way that makes no sense."""


class UnsupportedError(UsageError):
    """Something that is not offered here."""


class ConfigError(UsageError):
    """A key of the configuration was given another value without saying that this is meant."""


class RunFinishedError(UsageError):
    """The run is over, so it takes nothing any more."""


class WaitTimeoutError(Error, TimeoutError):
    """Waiting took longer than it was allowed to."""


class UploadError(Error, ValueError):
    """An upload in the background failed in an unforeseen way and left no version behind; the cause says more."""


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


def not_logged(name: str, artifact: object) -> ArtifactNotLoggedError:
    """Return the error for a use of *name* that needs a logged artifact."""
    return ArtifactNotLoggedError(f"Artifact.{name}", artifact)


def finalized(name: str, artifact: object) -> ArtifactFinalizedError:
    """Return the error for a use of *name* that needs a draft."""
    return ArtifactFinalizedError(f"Artifact.{name}", artifact)


@contextmanager
def as_comm_error() -> Iterator[None]:
    """Raise what the store refuses or does not have as CommError, which remains the error that it was."""
    try:
        yield
    except Error:
        raise
    except (NotFoundError, RuleError, ConflictError) as error:
        class_: type[MunimentError] = type(error)
        raise _both(class_)(str(error), error) from error


_combined: dict[type[MunimentError], type[CommError]] = {}


def _both(class_: type[MunimentError]) -> type[CommError]:
    if class_ not in _combined:
        _combined[class_] = type(class_.__name__, (CommError, class_), {"__doc__": class_.__doc__})
    return _combined[class_]
