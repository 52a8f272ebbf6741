"""Proofs as files that others keep: C2SP tlog-proof for one event, and what a witness is asked with."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NoReturn

from attrs import frozen

from muniment.domain import base64
from muniment.domain.checkpoint import Checkpoint, SignedNote
from muniment.domain.errors import InvalidValueError
from muniment.domain.merkle import HASH_BYTES
from muniment.domain.proof import verify_consistency, verify_inclusion
from muniment.domain.values import LARGEST

HEADER: Final = "c2sp.org/tlog-proof@v1"
MOST_HASHES: Final = 63
LARGEST_FILE: Final = 4 * 1024 * 1024
_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")


@frozen
class InclusionFile:
    """The proof that something stands at *index* (from 0) in the ledger of a signed checkpoint.

    ``extra`` is what a verifier needs beside it; nothing vouches for it but what it is checked against.
    """

    index: int
    hashes: tuple[bytes, ...]
    note: SignedNote
    extra: bytes | None = None

    @property
    def checkpoint(self) -> Checkpoint:
        """What the note says; InvalidValueError if it is no checkpoint."""
        return Checkpoint.parse(self.note.text)

    def verify(self, leaf: bytes) -> None:
        """Check that the leaf of this hash is in the ledger of the checkpoint; ProofError if not."""
        checkpoint = self.checkpoint
        verify_inclusion(self.index, checkpoint.size, leaf, self.hashes, checkpoint.root)

    def render(self) -> str:
        """Return the file."""
        extra = [] if self.extra is None else [f"extra {base64.encode(self.extra)}"]
        lines = [HEADER, *extra, f"index {self.index}", *map(base64.encode, self.hashes)]
        return "".join(f"{line}\n" for line in (*lines, "")) + self.note.render()

    @classmethod
    def parse(cls, text: str) -> InclusionFile:
        """Read a file; InvalidValueError says what is wrong with it."""
        lines, note = _parts(text)
        if not lines or lines.pop(0) != HEADER:
            _refuse(f"its first line is not {HEADER}")
        extra = None
        if lines and lines[0].startswith("extra "):
            extra = base64.decode(lines.pop(0).removeprefix("extra "))
            if extra is None:
                _refuse("what follows `extra` is not base64")
        index = _numbered(lines, "index")
        return cls(index, _hashes(lines), note, extra)


@frozen
class ConsistencyFile:
    """The proof that the ledger of a signed checkpoint begins with that of *old* events: what a witness is asked with.

    The form is that of a request to a C2SP tlog-witness.
    """

    old: int
    hashes: tuple[bytes, ...]
    note: SignedNote

    @property
    def checkpoint(self) -> Checkpoint:
        """What the note says; InvalidValueError if it is no checkpoint."""
        return Checkpoint.parse(self.note.text)

    def verify(self, older: Checkpoint) -> None:
        """Check that the newer ledger begins with the older one; ProofError if not."""
        newer = self.checkpoint
        if (older.origin, older.size) != (newer.origin, self.old):
            _refuse(
                f"it compares {self.old} events of {newer.origin}, not {older.size} of {older.origin}",
            )
        verify_consistency(older.size, newer.size, self.hashes, older.root, newer.root)

    def render(self) -> str:
        """Return the file."""
        lines = [f"old {self.old}", *map(base64.encode, self.hashes), ""]
        return "".join(f"{line}\n" for line in lines) + self.note.render()

    @classmethod
    def parse(cls, text: str) -> ConsistencyFile:
        """Read a file; InvalidValueError says what is wrong with it."""
        lines, note = _parts(text)
        old = _numbered(lines, "old")
        return cls(old, _hashes(lines), note)


def _parts(text: str) -> tuple[list[str], SignedNote]:
    if len(text) > LARGEST_FILE:
        _refuse(f"it is longer than {LARGEST_FILE} characters")
    head, gap, note = text.partition("\n\n")
    if not gap:
        _refuse("no empty line ends its hashes")
    return head.split("\n"), SignedNote.parse(note)


def _numbered(lines: list[str], name: str) -> int:
    word, _, number = lines.pop(0).partition(" ") if lines else ("", "", "")
    if word != name or not _NUMBER.fullmatch(number) or int(number) > LARGEST:
        _refuse(f"it has no line `{name}` with a number")
    return int(number)


def _hashes(lines: Sequence[str]) -> tuple[bytes, ...]:
    found = [base64.decode(line) for line in lines]
    if len(found) > MOST_HASHES:
        _refuse(f"it has more than {MOST_HASHES} hashes")
    hashes = tuple(each for each in found if each is not None and len(each) == HASH_BYTES)
    if len(hashes) != len(found):
        _refuse(f"one of its hashes is not base64 of {HASH_BYTES} bytes")
    return hashes


def _refuse(why: str) -> NoReturn:
    msg = f"this is not such a proof: {why} — give the file as it was written"
    raise InvalidValueError(msg)
