"""The keys of the vault: one master key in a file, and under it the data keys and the key of the search index."""

from __future__ import annotations

import hmac
import os
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attrs import field, frozen

from muniment.adapters import key_file
from muniment.adapters.vault.sealing import KEY_BYTES, NONCE_BYTES, cipher, length_prefixed
from muniment.adapters.vault.unsealed import text_bytes
from muniment.domain.errors import CorruptError, KeyFileError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_CHECK: Final = b"muniment-key-check-v1"
_DESTROYED: Final = "destroyed-key"
_INDEX: Final = b"muniment-search-index-v1"


@frozen
class MasterKey:
    """The key that wraps the data keys of one store."""

    origin: str
    material: bytes = field(repr=False)

    @classmethod
    def create(cls, path: Path, origin: str) -> MasterKey:
        """Make a new key and its file, which must not be there yet."""
        material = os.urandom(KEY_BYTES)
        key_file.create(path, material)
        return cls(origin, material)

    @classmethod
    def load(cls, path: Path, origin: str) -> MasterKey:
        """Read the key from its file."""
        material = key_file.read(path)
        if len(material) != KEY_BYTES:
            msg = (
                f"key file {path} is damaged: it holds {len(material)} bytes instead of {KEY_BYTES} — "
                "put it back from its backup"
            )
            raise KeyFileError(msg)
        return cls(origin, material)

    def check(self) -> bytes:
        """Return what the key is recognised by, without giving it away."""
        return hmac.digest(self.material, _CHECK + length_prefixed(self.origin), "sha256")

    def index_key(self) -> bytes:
        """Return the key of the search index: HKDF (RFC 5869) with SHA-256, salted with the origin."""
        extracted = hmac.digest(self.origin.encode(), self.material, "sha256")
        return hmac.digest(extracted, _INDEX + b"\x01", "sha256")

    def term(self, kind: str, value: str) -> bytes:
        """Return what stands for a personal value in the search index."""
        text = text_bytes(kind, value)
        return hmac.new(self.index_key(), length_prefixed(kind) + text, sha256).digest()

    def wrap(self, owner: str, data_key: bytes) -> bytes:
        """Return nonce and ciphertext of an owner's data key."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + cipher(self.material).encrypt(nonce, data_key, length_prefixed(self.origin, owner))

    def fingerprint(self, owner: str, wrapped: bytes) -> bytes:
        """Return what an owner's data key is recognised by, however it is wrapped."""
        return self.term(_DESTROYED, f"{owner}\0{self._unwrapped(owner, wrapped).hex()}")

    def unwrap(self, owner: str, wrapped: bytes) -> AESGCM:
        """Return the cipher of an owner's data key; CorruptError if what is stored is not theirs."""
        return cipher(self._unwrapped(owner, wrapped))

    def _unwrapped(self, owner: str, wrapped: bytes) -> bytes:
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - 50 ms, for who needs it

        nonce, sealed = wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:]
        try:
            return cipher(self.material).decrypt(nonce, sealed, length_prefixed(self.origin, owner))
        except (InvalidTag, ValueError, TypeError) as error:
            msg = f"the data key of {owner} was changed or moved — restore keys.sqlite3 from its backup"
            raise CorruptError(msg) from error
