"""Ed25519 keys that sign checkpoints, in the forms of C2SP signed-note, and the check of such a signature."""

from __future__ import annotations

import base64
import binascii
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attrs import field, frozen

from muniment.adapters import key_file
from muniment.domain.checkpoint import KEY_ID_BYTES, Checkpoint, Signature, SignedNote
from muniment.domain.errors import CorruptError, InvalidValueError, KeyFileError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_ED25519: Final = b"\x01"
_PUBLIC_BYTES: Final = 32


def key_id(name: str, public: bytes) -> bytes:
    """Return the four bytes by which signatures tell the keys of one name apart."""
    return sha256(name.encode() + b"\n" + _ED25519 + public).digest()[:KEY_ID_BYTES]


@frozen
class VerifierKey:
    """A public key with its name: all that others need to check what was signed."""

    name: str
    public: bytes

    def __str__(self) -> str:
        """Return ``name+key id+key``, the form in which verifiers exchange keys."""
        return f"{self.name}+{self.id().hex()}+{base64.b64encode(_ED25519 + self.public).decode()}"

    def id(self) -> bytes:
        """Return the key's id."""
        return key_id(self.name, self.public)

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """Read ``name+key id+key``; InvalidValueError if it is damaged or no Ed25519 key."""
        name, *rest = text.strip().split("+", 2)
        try:
            _, encoded = rest
            content = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError) as error:
            raise _no_key(text) from error
        Signature(name, bytes(KEY_ID_BYTES), b"\x00")  # the name must be able to stand in a signature line
        key = cls(name, content[1:])
        if content[:1] != _ED25519 or len(key.public) != _PUBLIC_BYTES or str(key) != text.strip():
            raise _no_key(text)
        return key


@frozen
class SigningKey:
    """The private key of a ledger; ``name`` is that of its log."""

    name: str
    _private: Ed25519PrivateKey = field(repr=False)

    @classmethod
    def at(cls, path: Path, name: str) -> SigningKey:
        """Load the key, or make it if there is none yet; of several makers at once, one wins and all get its key."""
        if not key_file.exists(path):
            try:
                return cls.create(path, name)
            except KeyFileError:
                if not key_file.exists(path):
                    raise
        return cls.load(path, name)

    @classmethod
    def create(cls, path: Path, name: str) -> SigningKey:
        """Make a new key and its file (PKCS #8, PEM, mode 0600), which must not be there yet."""
        from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - only who signs pays for it
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415

        private = Ed25519PrivateKey.generate()
        pem = private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        key_file.create(path, pem)
        return cls(name, private)

    @classmethod
    def load(cls, path: Path, name: str) -> SigningKey:
        """Read the key from its file; KeyFileError if it is missing, damaged, or of another kind."""
        from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - only who signs pays for it
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415
        from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

        msg = f"key file {path} holds no Ed25519 key without a password — put it back from its backup"
        try:
            private = load_pem_private_key(key_file.read(path), None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise KeyFileError(msg) from error
        if not isinstance(private, Ed25519PrivateKey):
            raise KeyFileError(msg)
        return cls(name, private)

    def verifier_key(self) -> str:
        """Return what others need to check this key's signatures."""
        return str(self._verifier())

    def sign(self, checkpoint: Checkpoint) -> str:
        """Return the signed note of a checkpoint."""
        return self.sign_text(checkpoint.text())

    def sign_text(self, text: str) -> str:
        """Return the signed note of any text that ends with a line end."""
        signature = Signature(self.name, self._verifier().id(), self._private.sign(text.encode()))
        return SignedNote(text, (signature,)).render()

    def _verifier(self) -> VerifierKey:
        return VerifierKey(self.name, self._private.public_key().public_bytes_raw())


def verify(note: str, verifier_key: str) -> Checkpoint:
    """Return the checkpoint in a signed note.

    CorruptError if text or signature were changed; InvalidValueError if the note or the key is malformed, or the note
    is not signed by this key, or is about another log.
    """
    key = VerifierKey.parse(verifier_key)
    checkpoint = Checkpoint.parse(verify_text(note, verifier_key))
    if checkpoint.origin != key.name:
        msg = f"the checkpoint is about {checkpoint.origin}, not about {key.name} — give one of this log"
        raise InvalidValueError(msg)
    return checkpoint


def verify_text(note: str, verifier_key: str) -> str:
    """Return the text of a signed note, as :func:`verify` does for a checkpoint."""
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - only who verifies pays for it
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415

    key = VerifierKey.parse(verifier_key)
    signed = SignedNote.parse(note)
    ours = [found for found in signed.signatures if (found.name, found.key_id) == (key.name, key.id())]
    if not ours:
        msg = f"the note is not signed by {key.name}+{key.id().hex()} — give the verifier key of this log"
        raise InvalidValueError(msg)
    for found in ours:
        try:
            Ed25519PublicKey.from_public_bytes(key.public).verify(found.signature, signed.text.encode())
        except InvalidSignature as error:
            msg = f"the signature of {key.name} does not fit the text: one of them was changed — do not trust this note"
            raise CorruptError(msg) from error
    return signed.text


def _no_key(text: str) -> InvalidValueError:
    return InvalidValueError(f"{text[:80]!r} is no Ed25519 verifier key — give it as name+id+key, as it was shown")
