"""How one key of a ledger follows another: the announcement that both sign, and which keys are trusted for it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Final

from attrs import evolve, frozen

from muniment.domain.checkpoint import Checkpoint
from muniment.domain.errors import InvalidValueError, ProofError

HEADER: Final = "muniment-key-rotation/v1"
_LINES: Final = 7
_SECOND = re.compile(rf"(?m)^{re.escape(HEADER)}$")


@frozen
class Rotation:
    """At this checkpoint, *before* was the key of the ledger for the last time; from now on it is *after*."""

    checkpoint: Checkpoint
    before: str
    after: str

    def text(self) -> str:
        """Return the text that both keys sign."""
        return f"{HEADER}\n{self.checkpoint.text()}{self.before}\n{self.after}\n"

    @classmethod
    def parse(cls, text: str) -> Rotation:
        """Read the text back; InvalidValueError if it is no announcement."""
        lines = text.split("\n")
        if len(lines) != _LINES or lines[0] != HEADER or lines[-1]:
            msg = f"this does not announce a key: {HEADER} and five lines are wanted — give the file as it was written"
            raise InvalidValueError(msg)
        return cls(Checkpoint.parse("\n".join([*lines[1:4], ""])), lines[4], lines[5])


@frozen
class TrustedKey:
    """A key of the ledger; once it was replaced, it counts for checkpoints of up to *until* events only."""

    verifier: str
    until: int | None = None


def split(chain: str) -> list[str]:
    """Return the signed announcements that a chain file joins."""
    starts = [found.start() for found in _SECOND.finditer(chain)]
    if chain.strip() and (not starts or starts[0] != 0):
        msg = f"this is no chain of keys: it does not begin with {HEADER} — give the file as it was written"
        raise InvalidValueError(msg)
    return [chain[start:end] for start, end in pairwise([*starts, len(chain)])]


def trusted(key: str, announcements: Iterable[str], open_note: Callable[[str, str], str]) -> list[TrustedKey]:
    """Return the keys that follow from trusting one, the newest first.

    *open_note* returns the text of a note signed by a key, or raises. An announcement that old and new key did not both
    sign is refused, and so are two that replace the same key by different ones.
    """
    links = [_opened(note, open_note) for note in announcements]
    known = [TrustedKey(key)]
    for link in _after(key, links):
        known[0] = evolve(known[0], until=link.checkpoint.size)
        known.insert(0, TrustedKey(link.after))
    return [*known, *(TrustedKey(link.before, link.checkpoint.size) for link in _before(key, links))]


def _opened(note: str, open_note: Callable[[str, str], str]) -> Rotation:
    found = Rotation.parse(note.partition("\n\n")[0] + "\n")
    for key in (found.before, found.after):
        open_note(note, key)
    if found.before == found.after:
        msg = "a key is announced as its own successor — do not trust this chain"
        raise ProofError(msg)
    return found


def _after(key: str, links: Sequence[Rotation]) -> list[Rotation]:
    followed: list[Rotation] = []
    while steps := [link for link in links if link.before == key and link not in followed]:
        if len({link.after for link in steps}) > 1 or steps[0].after in {link.before for link in followed}:
            msg = "the chain replaces one key by two different ones — do not trust it, ask whose they are"
            raise ProofError(msg)
        followed.append(steps[0])
        key = steps[0].after
    return followed


def _before(key: str, links: Sequence[Rotation]) -> list[Rotation]:
    followed: list[Rotation] = []
    while steps := [link for link in links if link.after == key and link not in followed]:
        followed.append(steps[0])
        key = steps[0].before
    return followed
