"""Sealing and opening slots: AES-256-GCM, bound to the ledger, the slot, its owner and its field."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from attrs import frozen

from muniment.adapters.vault.unsealed import BLIND_BYTES, Unsealed
from muniment.domain.errors import CorruptError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12


@frozen
class Place:
    """Where a slot belongs: nothing that was sealed for one place can be opened in another."""

    origin: str
    slot: str
    owner: str
    field: str

    def associated(self) -> bytes:
        """Return the bytes that the seal covers beside the value."""
        return length_prefixed(self.origin, self.slot, self.owner, self.field)


def length_prefixed(*parts: str) -> bytes:
    """Join texts so that no two lists of them give the same bytes: each after its length, four bytes big-endian."""
    return b"".join(len(part).to_bytes(4, "big") + part for part in (text.encode() for text in parts))


def cipher(key: bytes) -> AESGCM:
    """Return the cipher for a key of 32 bytes."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - 50 ms, for who needs it

    return AESGCM(key)


def seal(key: AESGCM, origin: str, value: Unsealed) -> tuple[bytes, bytes]:
    """Return a fresh nonce and the ciphertext, with its tag, of blind and value."""
    nonce = os.urandom(NONCE_BYTES)
    place = Place(origin, value.slot, value.owner, value.field)
    return nonce, key.encrypt(nonce, value.blind + value.content, place.associated())


def unseal(key: AESGCM, place: Place, nonce: bytes, sealed: bytes) -> tuple[bytes, bytes]:
    """Return blind and value bytes; CorruptError if a bit differs, or if they were sealed for another place."""
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - 50 ms, for who needs it

    try:
        opened = key.decrypt(nonce, sealed, place.associated())
    except (InvalidTag, ValueError, TypeError) as error:
        msg = f"slot {place.slot} of the vault was changed or moved — restore vault.sqlite3 from its backup"
        raise CorruptError(msg) from error
    return opened[:BLIND_BYTES], opened[BLIND_BYTES:]
