"""What a ledger was at one moment, as the signed text that others keep: C2SP tlog-checkpoint and signed-note."""

from __future__ import annotations

import re
from typing import Final, NoReturn

from attrs import frozen

from muniment.domain import base64
from muniment.domain.errors import InvalidValueError
from muniment.domain.merkle import HASH_BYTES

KEY_ID_BYTES: Final = 4
LARGEST_NOTE: Final = 1024 * 1024
MOST_SIGNATURES: Final = 100
_DASH: Final = "\u2014"
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]|[\ud800-\udfff]")
_NO_NAME = re.compile(r"[\s+]")
_SIGNATURE = re.compile(rf"{_DASH} (\S+) (\S+)")


def log_name(origin: str) -> str:
    """Return the origin line and key name of the ledger with this origin id."""
    return f"muniment/{origin}"


@frozen
class Checkpoint:
    """The size of a ledger and the root of its hash tree; ``origin`` is the name of the log."""

    origin: str
    size: int
    root: bytes

    def __attrs_post_init__(self) -> None:
        if not self.origin or "\n" in self.origin or _CONTROL.search(self.origin):
            _refuse("its origin is empty or not one line of text")
        if not _SIZE.fullmatch(str(self.size)):
            _refuse(f"its size is {self.size}")
        if len(self.root) != HASH_BYTES:
            _refuse(f"its root has {len(self.root)} bytes instead of {HASH_BYTES}")

    def text(self) -> str:
        """Return the text that is signed: origin, size and root, a line each."""
        return f"{self.origin}\n{self.size}\n{base64.encode(self.root)}\n"

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """Read the text back; InvalidValueError says what is wrong with it."""
        lines = text.split("\n")
        if len(lines) != 4 or lines[3]:  # noqa: PLR2004 - three lines, each ended
            _refuse("it does not have exactly three lines: origin, size and root")
        if not _SIZE.fullmatch(lines[1]):
            _refuse("its second line is not a size")
        return cls(lines[0], int(lines[1]), _bytes(lines[2], "its third line, the root"))


def cosigned(checkpoint_text: str, seconds: int) -> str:
    """Return what a witness signs: that it saw this checkpoint, at this time (C2SP tlog-cosignature, Ed25519)."""
    return f"cosignature/v1\ntime {seconds}\n{checkpoint_text}"


@frozen
class Signature:
    """One signature line of a note: whose key, which key of theirs, and the signature."""

    name: str
    key_id: bytes
    signature: bytes

    def __attrs_post_init__(self) -> None:
        if not self.name or _NO_NAME.search(self.name) or _CONTROL.search(self.name):
            _refuse(f"{self.name!r} cannot be the name of a key")
        if len(self.key_id) != KEY_ID_BYTES or not self.signature:
            _refuse(f"the signature of {self.name} is too short")

    def line(self) -> str:
        """Return the line that ends a note."""
        return f"{_DASH} {self.name} {base64.encode(self.key_id + self.signature)}\n"

    @classmethod
    def parse(cls, line: str) -> Signature:
        """Read one line, without its end."""
        found = _SIGNATURE.fullmatch(line)
        if not found:
            _refuse("a line after the text is not a signature")
        content = _bytes(found[2], f"the signature of {found[1]}")
        return cls(found[1], content[:KEY_ID_BYTES], content[KEY_ID_BYTES:])


@frozen
class SignedNote:
    """A text and the signatures over it."""

    text: str
    signatures: tuple[Signature, ...]

    def __attrs_post_init__(self) -> None:
        if not self.text.endswith("\n") or _CONTROL.search(self.text):
            _refuse("its text does not end with a line end, or holds a control character")
        if not 0 < len(self.signatures) <= MOST_SIGNATURES:
            _refuse(f"it has {len(self.signatures)} signatures, from 1 to {MOST_SIGNATURES} may be")

    def with_signatures(self, *others: Signature) -> SignedNote:
        """Return the note with the signatures of others too; those that it has already are not repeated."""
        return SignedNote(self.text, tuple(dict.fromkeys((*self.signatures, *others))))

    def render(self) -> str:
        """Return the note as it is kept: the text, an empty line, the signature lines."""
        return f"{self.text}\n{''.join(signature.line() for signature in self.signatures)}"

    @classmethod
    def parse(cls, note: str) -> SignedNote:
        """Read a note back; InvalidValueError says what is wrong with it."""
        if len(note) > LARGEST_NOTE:
            _refuse(f"it is longer than {LARGEST_NOTE} characters")
        text, gap, lines = note.rpartition("\n\n")
        if not gap or not lines.endswith("\n"):
            _refuse("it has no empty line between text and signatures, or its last line has no end")
        found = lines[:-1].split("\n", MOST_SIGNATURES)
        return cls(f"{text}\n", tuple(Signature.parse(line) for line in found))


def _bytes(text: str, what: str) -> bytes:
    content = base64.decode(text)
    if content is None:
        _refuse(f"{what} is not base64 in its one canonical form")
    return content


def _refuse(why: str) -> NoReturn:
    msg = f"this is not a signed checkpoint: {why} — give the file as it was written"
    raise InvalidValueError(msg)
