"""Every error that Muniment raises on purpose.

::

    MunimentError                     the root; the command line prints it as one line
     ├─ RuleError                     a rule forbids it; never retry (also a ValueError)
     │   ├─ InvalidNameError          a name, type, alias, tag or path is not allowed
     │   ├─ InvalidValueError         metadata, a TTL or another argument cannot be kept
     │   ├─ AliasReservedError        the alias means something else, such as v3
     │   ├─ AliasProtectedError       only an admin may move or remove the alias (also PermissionError)
     │   ├─ PermissionDeniedError     the role of the actor does not allow it (also PermissionError)
     │   ├─ ReadOnlyError             the store is read and not written, such as a replay (also PermissionError)
     │   │   └─ RolledBackError       a witness saw more of the ledger than there is, or other events
     │   ├─ TypeRefusedError          the artifact's type does not fit here
     │   ├─ NameTakenError            another live thing has this name
     │   ├─ VersionHeldError          aliases or links hold the version
     │   ├─ HeldError                 a hold is in force: nothing in its scope may be removed
     │   ├─ SubjectErasedError        it is about a data subject who is being erased, or was
     │   ├─ ApprovalNeededError       the act takes two people, and only one of them agreed so far
     │   └─ VersionDeletedError       the version was deleted, or is gone for good
     │       └─ GoneError             its bytes were purged or erased, and a record says when
     ├─ NotFoundError                 also a LookupError
     ├─ ConflictError                 somebody was faster; reload and decide again
     │   ├─ AliasMovedMeanwhileError  the alias does not point where the caller thought
     │   ├─ LeaseExpiredError         the upload took longer than its lease; upload again
     │   └─ CommandReusedError        the command id was used for another request
     ├─ ProofError                    what was handed over does not prove what it says
     │   └─ SplitViewError            two signed checkpoints of one ledger contradict each other
     └─ StorageError                  a backend failed; ``__cause__`` holds its own error
         ├─ StillThereError           a lock of the backend holds bytes that should go, until a date if it has one
         ├─ CorruptError              stored bytes are not what they should be
         ├─ ContradictionError        rows claim one place: a decision or a fold was wrong
         ├─ StorageFullError          no space is left
         └─ KeyFileError              the key file is missing, unreadable or belongs to another store
"""

from __future__ import annotations


class MunimentError(Exception):
    """The root of every error that Muniment raises on purpose."""


class RuleError(MunimentError, ValueError):
    """A rule forbids it; trying again will not help."""


class InvalidNameError(RuleError):
    """A name, type, alias, tag or path is not allowed."""


class InvalidValueError(RuleError):
    """Metadata, a TTL or another argument cannot be kept as given."""


class AliasReservedError(RuleError):
    """The alias has a meaning of its own, such as a version number."""


class PermissionDeniedError(RuleError, PermissionError):
    """The actor's role does not allow the act; the attempt is recorded."""


class AliasProtectedError(PermissionDeniedError):
    """Only an admin of the registry may move or remove a protected alias."""


class ReadOnlyError(RuleError, PermissionError):
    """The store is read and nothing is written to it: it is a replay, which shows another one as it was."""


class RolledBackError(ReadOnlyError):
    """A witness saw more of the ledger than there is, or other events: it is read, and nothing is written."""


class TypeRefusedError(RuleError):
    """The artifact's type does not fit here."""


class NameTakenError(RuleError):
    """Another live thing in this scope has the name."""


class VersionHeldError(RuleError):
    """Aliases or live links hold the version, so it cannot be deleted as asked."""


class VersionDeletedError(RuleError):
    """The version was deleted, or its bytes are gone for good."""


class GoneError(VersionDeletedError, LookupError):
    """The bytes were there and were purged or erased; the text says when, and by which certificate if there is one."""


class HeldError(RuleError):
    """A hold is in force, and nothing in its scope may be removed."""


class SubjectErasedError(RuleError):
    """It is about a data subject who is being erased or was: nothing about them may come in."""


class ApprovalNeededError(RuleError):
    """The act takes two people, and only one of them agreed so far."""


class NotFoundError(MunimentError, LookupError):
    """Nothing of this name or id is here."""


class ConflictError(MunimentError):
    """Somebody was faster: reload and decide again."""


class AliasMovedMeanwhileError(ConflictError):
    """The alias does not point where the caller thought it did."""


class LeaseExpiredError(ConflictError):
    """The upload outlived its lease, so its blobs may be gone: upload again."""


class CommandReusedError(ConflictError):
    """The command id was used before, for another request."""


class ProofError(MunimentError):
    """What was handed over does not prove what it says: it was changed, or is about something else."""


class SplitViewError(ProofError):
    """Two signed checkpoints of one ledger contradict each other: it was shown differently to different people."""


class StorageError(MunimentError):
    """A backend failed; ``__cause__`` holds the backend's own error."""


class StillThereError(StorageError):
    """A lock of the backend holds bytes that should go: until ``until``, in microseconds; ``None`` if nobody said."""

    def __init__(self, what: str, until: int | None = None) -> None:
        super().__init__(what)
        self.until = until


class CorruptError(StorageError):
    """Stored bytes are not what they should be."""


class ContradictionError(StorageError):
    """Two rows claim one place, which only a wrong decision or fold leads to."""


class StorageFullError(StorageError):
    """No space is left where the bytes should go."""


class KeyFileError(StorageError):
    """The key file is missing, unreadable or belongs to another store."""
