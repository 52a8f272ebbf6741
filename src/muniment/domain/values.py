"""The small values everything is made of: ids, names, digests, times, tiers.

Ids are 32 lowercase hexadecimal characters (16 random bytes), minted by the caller. Times and durations are whole
microseconds, times counted from 1970-01-01 UTC. Names are checked here, once, by functions that return what they
were given or raise.
"""

from __future__ import annotations

import enum
import re
from typing import Annotated, Any, Final, Generic, NewType, TypeAlias, TypeVar

from attrs import frozen

from muniment.domain.errors import AliasReservedError, InvalidNameError, InvalidValueError

T = TypeVar("T")

Json: TypeAlias = Any
"""A JSON value: None, bool, int, float, str, list or dict of such."""

Micros: TypeAlias = int
"""A time (since 1970-01-01 UTC) or a duration, in whole microseconds."""

ArtifactId = NewType("ArtifactId", str)
VersionId = NewType("VersionId", str)
CollectionId = NewType("CollectionId", str)
LinkId = NewType("LinkId", str)
RegistryId = NewType("RegistryId", str)
RunId = NewType("RunId", str)
OrganisationId = NewType("OrganisationId", str)
TeamId = NewType("TeamId", str)
ProjectId = NewType("ProjectId", str)
PrincipalId = NewType("PrincipalId", str)
EventId = NewType("EventId", str)
CommandId = NewType("CommandId", str)
SlotId = NewType("SlotId", str)
StreamId = NewType("StreamId", str)
Digest = NewType("Digest", str)
"""SHA-256 of stored bytes, 64 lowercase hexadecimal characters."""


class Erased(enum.Enum):
    """What remains where words or personal values were forgotten on purpose."""

    ERASED = "erased"

    def __repr__(self) -> str:
        return "ERASED"


ERASED: Final = Erased.ERASED
ERASED_TEXT: Final = "[erased]"
"""What people are shown in the place of what was forgotten on purpose."""
LARGEST: Final = 2**63 - 1
"""The largest number that every ledger, table and file can hold."""
WORDS: Final = "words"
Words: TypeAlias = Annotated[T | Erased, WORDS]
"""An event field that people typed or that names content: it can be redacted, and then reads ``ERASED``."""


@frozen
class Personal(Generic[T]):
    """A value kept in the vault; the event holds only its slot and a blinded commitment to it."""

    slot: SlotId
    commit: str


class Audit(enum.Enum):
    """The class of an event, which decides how long it is kept and whether folds see it."""

    GOVERNANCE = "governance"
    CHANGE = "change"
    ACCESS = "access"
    SECURITY = "security"


class Role(enum.Enum):
    """What a member may do; the order is the order of power."""

    RESTRICTED_VIEWER = "restricted_viewer"
    VIEWER = "viewer"
    MEMBER = "member"
    ADMIN = "admin"

    def covers(self, other: Role) -> bool:
        """Whether this role may do all that *other* may."""
        return list(Role).index(self) >= list(Role).index(other)


class TtlRule(enum.Enum):
    """Who decides how long a version is kept: its parents, nobody (for ever), or a duration of its own."""

    INHERIT = "inherit"
    NEVER = "never"
    AFTER = "after"


@frozen
class Ttl:
    """How long a version is kept, counted from its creation; ``micros`` is set for ``AFTER`` only."""

    rule: TtlRule = TtlRule.INHERIT
    micros: Micros | None = None

    @classmethod
    def after(cls, micros: Micros) -> Ttl:
        """Return the TTL of *micros* microseconds, which must be positive and at most a thousand years."""
        if micros <= 0:
            msg = "Artifact TTL Duration has to be positive — use None for never, or ArtifactTTL.INHERIT"
            raise InvalidValueError(msg)
        if micros > LONGEST_TTL:
            msg = "Artifact TTL Duration is longer than 1,000 years — use None for never"
            raise InvalidValueError(msg)
        return cls(TtlRule.AFTER, micros)


LONGEST_TTL: Final[Micros] = 365_250 * 24 * 3600 * 1_000_000
INHERIT: Final = Ttl(TtlRule.INHERIT)
NEVER: Final = Ttl(TtlRule.NEVER)

LATEST: Final = "latest"
NAME_LIMIT: Final = 128
TAG_LIMIT: Final = 128
REGISTRY_PREFIX: Final = "wandb-registry-"
REGISTRY_NAME_LIMIT: Final = NAME_LIMIT - len(REGISTRY_PREFIX)
METADATA_KEYS_LIMIT: Final = 100
MAX_OBJECTS: Final = 10_000_000

_ARTIFACT_NAME = re.compile(r"[a-zA-Z0-9_\-.]+")
_TYPE = re.compile(r"[-\w]([-.\w ]*[-.\w])?")
_TAG = re.compile(r"[-\w]+( +[-\w]+)*")
_VERSION = re.compile(r"v([0-9]+)")
_INDEX_DIGITS: Final = 18
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]|[\ud800-\udfff]")
_PATH = re.compile(r"[/?#]")
_SECRET = re.compile(r":.*@", re.DOTALL)
_REGISTRY_FORBIDDEN = re.compile(r"[/\\#?%:\r\n]")


def _limited(text: str, what: str, limit: int = NAME_LIMIT) -> str:
    if not isinstance(text, str):
        msg = f"{what} must be text, not {type(text).__name__}"
        raise InvalidNameError(msg)
    if not text:
        msg = f"{what} is empty"
        raise InvalidNameError(msg)
    if len(text) > limit:
        msg = f"{what} is longer than {limit} characters: {text[:24]!r}…"
        raise InvalidNameError(msg)
    if _CONTROL.search(text):
        msg = f"{what} holds a control character: {text!r}"
        raise InvalidNameError(msg)
    return text


def artifact_name(text: str) -> str:
    """Check the name of an artifact: letters, digits, dashes, underscores and dots, at most 128."""
    if isinstance(text, str) and text and not _ARTIFACT_NAME.fullmatch(text):
        msg = (
            "Artifact name may only contain alphanumeric characters, dashes, underscores, and dots. "
            f"Invalid name: {text[:NAME_LIMIT]!r}"
        )
        raise InvalidNameError(msg)
    return _limited(text, "Artifact name")


def type_name(text: str) -> str:
    """Check the type of an artifact: words of letters, digits, dashes and dots, without / and :, at most 128."""
    _limited(text, "Artifact type")
    if not _TYPE.fullmatch(text):
        msg = f"Artifact type may only contain words of letters, digits, dashes, underscores and dots, not {text!r}"
        raise InvalidNameError(msg)
    return text


def plain_name(text: str, what: str) -> str:
    """Check the name of a team, organisation, project, collection or run: no slash or colon, at most 128."""
    _limited(text, what)
    if text != text.strip() or "/" in text or ":" in text:
        msg = f"{what} may not hold '/' or ':' nor begin or end with a space: {text!r}"
        raise InvalidNameError(msg)
    return text


def registry_name(text: str) -> str:
    r"""Check the short name of a registry: at most 113 characters, none of ``/ \ # ? % :``."""
    _limited(text, "Registry name", REGISTRY_NAME_LIMIT)
    if _REGISTRY_FORBIDDEN.search(text) or text != text.strip():
        msg = f"Registry name may not hold any of / \\ # ? % : nor begin or end with a space: {text!r}"
        raise InvalidNameError(msg)
    if text.startswith(REGISTRY_PREFIX):
        msg = f"Registry name {text!r} is written without {REGISTRY_PREFIX!r}, which goes before it in addresses"
        raise InvalidNameError(msg)
    return text


def alias_name(text: str) -> str:
    """Check an alias: no slash, no colon, no version number; ``latest`` is allowed and means the moving one."""
    _limited(text, "Alias")
    if "/" in text or ":" in text:
        msg = f"Alias may not hold '/' or ':': {text!r}"
        raise InvalidNameError(msg)
    if text != text.strip():
        msg = f"Alias may not begin or end with a space: {text!r}"
        raise InvalidNameError(msg)
    if _VERSION.fullmatch(text):
        msg = f"Alias {text!r} is a version number — versions number themselves; choose another alias"
        raise AliasReservedError(msg)
    return text


def tag_name(text: str) -> str:
    """Check a tag: words of letters, digits, dashes and underscores, at most 128."""
    _limited(text, "Tag", TAG_LIMIT)
    if not _TAG.fullmatch(text):
        msg = f"Invalid tag {text!r}: use letters, digits, dashes, underscores and single words between spaces"
        raise InvalidNameError(msg)
    return text


def version_index(text: str) -> int | None:
    """Read ``v12`` as 12; ``None`` if *text* is no version number or a larger one than there can be."""
    found = _VERSION.fullmatch(text)
    digits = found[1].lstrip("0") if found else ""
    return int(digits or "0") if found and len(digits) <= _INDEX_DIGITS else None


def entry_path(text: str) -> str:
    """Check the path of an entry: relative, with ``/``, without ``.`` and ``..`` parts, control characters, drives.

    Raises InvalidNameError, whose text names the path. W&B accepts control characters, which makes its digest
    ambiguous; we refuse them.
    """
    if not isinstance(text, str) or not text:
        msg = f"Invalid artifact path: {text!r}"
        raise InvalidNameError(msg)
    parts = text.split("/")
    anchored = text[0] in "/\\" or (len(text) > 1 and text[1] == ":" and text[0].isalpha() and text[0].isascii())
    if anchored or any(part in {"", ".", ".."} for part in parts):
        msg = f"Invalid artifact path: {text!r} — use a relative path without '.', '..' or empty parts"
        raise InvalidNameError(msg)
    if _CONTROL.search(text):
        msg = f"Invalid artifact path: {text!r} holds a control character"
        raise InvalidNameError(msg)
    return text


def holds_password(uri: str) -> bool:
    """Whether a URI says with which password somebody may look there, even one that is cut by its own ``/?#``."""
    rest = uri.partition("://")[2]
    place = _PATH.split(rest, maxsplit=1)[0]
    user, at, _ = place.rpartition("@")
    if at:
        return ":" in user
    _, colon, port = place.rpartition(":")
    return bool(colon) and not port.isdigit() and not place.endswith("]") and "@" in rest


def shown_uri(uri: str) -> str:
    """Return a URI as messages may repeat it, without what may be a password in it, however badly it is written."""
    return _SECRET.sub(":…@", uri)


def numbering_stream(owner: str) -> StreamId:
    """Return the numbering stream of an artifact or collection."""
    return StreamId(f"{owner}:n")


def latest_stream(owner: str) -> StreamId:
    """Return the stream of ``latest`` of an artifact or collection."""
    return StreamId(f"{owner}:l")


def alias_stream(owner: str, random: str) -> StreamId:
    """Return a new alias slot of an artifact or collection; *random* keeps the alias out of the id."""
    return StreamId(f"{owner}:a:{random}")


def owner_of(stream: StreamId) -> str:
    """Return the id of what a stream belongs to."""
    return stream.split(":", 1)[0]


@frozen
class Residual:
    """Bytes that may be there still: where, why, and when they end (``None``: nobody knows)."""

    place: str
    why: str
    ends_at: Micros | None = None
