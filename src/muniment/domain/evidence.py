"""What shows that bytes went: why, in which place, by which means, and who looked afterwards."""

from __future__ import annotations

import enum

from attrs import frozen

from muniment.domain.values import Digest


class Trigger(enum.Enum):
    """Why bytes were let go."""

    EXPIRED = "expired"
    DELETED = "deleted"
    ERASURE = "erasure"
    LEFTOVER = "leftover"
    CARRIED = "carried"


class Method(enum.Enum):
    """How bytes went; ``already-absent`` says that nothing was there to delete."""

    DELETED = "deleted"
    REWRITTEN = "pack-rewritten"
    KEY_DESTROYED = "key-destroyed"
    ABSENT = "already-absent"


class Check(enum.Enum):
    """What was asked for copies afterwards: never the index or the answer of who deleted."""

    MEMORY = "memory"
    FILES = "files"
    OBJECTS = "objects"
    VERSIONS = "versions"
    FOOTERS = "footers"


class CopyKind(enum.Enum):
    """What a copy is: what readers get, or what a backend keeps behind that."""

    OBJECT = "object"
    PACKED = "packed"
    VERSION = "version"
    MARKER = "marker"
    PART = "part"


@frozen
class Copy:
    """A copy of a blob that is there, as the backend itself shows it."""

    digest: Digest
    kind: CopyKind


@frozen
class Search:
    """What a place holds of some blobs, and what was asked for it; *unsure* names what nobody can look into."""

    copies: tuple[Copy, ...]
    by: tuple[Check, ...]
    unsure: tuple[str, ...] = ()


@frozen
class Evidence:
    """What happened in one place: blobs that are verified absent there, and the copies of them that were removed.

    *residual* blobs could not go yet. Copies are objects, versions, delete markers and parts of unfinished uploads.
    """

    disposal_id: str
    method: Method
    verified_by: tuple[Check, ...]
    blobs: int
    size: int
    copies: int
    residual: int = 0
