"""Ed25519 keys that sign checkpoints, in the forms of C2SP signed-note, and the check of such a signature."""

from __future__ import annotations

import base64
import binascii
import struct
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attrs import field, frozen

from muniment.adapters import key_file
from muniment.domain.checkpoint import KEY_ID_BYTES, Checkpoint, Signature, SignedNote, cosigned
from muniment.domain.errors import CorruptError, InvalidValueError, KeyFileError
from muniment.domain.key_chain import Rotation, split

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_ED25519: Final = b"\x01"
_COSIGNING: Final = b"\x04"
_PUBLIC_BYTES: Final = 32
_TIME: Final = struct.Struct(">Q")


def key_id(name: str, public: bytes, kind: bytes = _ED25519) -> bytes:
    """Return the four bytes by which signatures tell the keys of one name apart."""
    return sha256(name.encode() + b"\n" + kind + public).digest()[:KEY_ID_BYTES]


@frozen
class VerifierKey:
    """A public key with its name: all that others need to check what was signed."""

    name: str
    public: bytes
    kind: bytes = _ED25519

    def __str__(self) -> str:
        """Return ``name+key id+key``, the form in which verifiers exchange keys."""
        return f"{self.name}+{self.id().hex()}+{base64.b64encode(self.kind + self.public).decode()}"

    def id(self) -> bytes:
        """Return the key's id."""
        return key_id(self.name, self.public, self.kind)

    @classmethod
    def parse(cls, text: str, kind: bytes = _ED25519) -> VerifierKey:
        """Read ``name+key id+key``; InvalidValueError if it is damaged or no Ed25519 key of this kind."""
        name, *rest = text.strip().split("+", 2)
        try:
            _, encoded = rest
            content = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError) as error:
            raise _no_key(text) from error
        Signature(name, bytes(KEY_ID_BYTES), b"\x00")  # the name must be able to stand in a signature line
        key = cls(name, content[1:], kind)
        if content[:1] != kind or len(key.public) != _PUBLIC_BYTES or str(key) != text.strip():
            raise _no_key(text)
        return key


@frozen
class SigningKey:
    """The private key of a ledger; ``name`` is that of its log."""

    name: str
    _private: Ed25519PrivateKey = field(repr=False)
    _path: Path | None = field(default=None, repr=False)

    @classmethod
    def at(cls, path: Path, name: str) -> SigningKey:
        """Load the key, or make it if there is none yet; of several makers at once, one wins and all get its key.

        A replacement that was announced and then interrupted is brought to its end.
        """
        following = _following(path)
        if key_file.exists(following):
            _finish(path, following, name)
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
        return cls(name, private, path)

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
        return cls(name, private, path)

    def verifier_key(self) -> str:
        """Return what others need to check this key's signatures."""
        return str(self._verifier())

    def sign(self, checkpoint: Checkpoint) -> str:
        """Return the signed note of a checkpoint."""
        return self.sign_text(checkpoint.text())

    def sign_text(self, text: str) -> str:
        """Return the signed note of any text that ends with a line end."""
        return SignedNote(text, (self._signature(text),)).render()

    def cosigner_key(self) -> str:
        """Return what others need to check what this key signs as a witness."""
        return str(self._verifier(_COSIGNING))

    def cosign(self, text: str, seconds: int) -> Signature:
        """Sign as a witness that a checkpoint of this text was seen, at this time."""
        content = _TIME.pack(seconds) + self._private.sign(cosigned(text, seconds).encode())
        return Signature(self.name, self._verifier(_COSIGNING).id(), content)

    def chain(self) -> str:
        """Return the announcements by which keys of this ledger followed each other, joined; ``""`` if none did."""
        return (key_file.read_text(_chain(self._path)) if self._path else None) or ""

    def replace(self, checkpoint: Checkpoint) -> SigningKey:
        """Put a new key in the place of this one, which ceases to be; both sign the announcement.

        Interrupted anywhere, the old key is still in force or the next :meth:`at` brings it to its end.
        """
        if self._path is None:
            msg = "this key has no file, so it cannot be replaced — open it from its file"
            raise KeyFileError(msg)
        following = _following(self._path)
        new = self.create(following, self.name)
        text = Rotation(checkpoint, self.verifier_key(), new.verifier_key()).text()
        note = SignedNote(text, (self._signature(text), new._signature(text)))  # noqa: SLF001 (of its own class)
        key_file.overwrite(_chain(self._path), (self.chain() + note.render()).encode())
        _finish(self._path, following, self.name)
        return self.load(self._path, self.name)

    def _signature(self, text: str) -> Signature:
        return Signature(self.name, self._verifier().id(), self._private.sign(text.encode()))

    def _verifier(self, kind: bytes = _ED25519) -> VerifierKey:
        return VerifierKey(self.name, self._private.public_key().public_bytes_raw(), kind)


def _chain(path: Path) -> Path:
    return path.with_suffix(".chain")


def _following(path: Path) -> Path:
    return path.with_suffix(".next")


def _finish(path: Path, following: Path, name: str) -> None:
    """Put the announced key in the place of the old one; a key that was not announced is left alone."""
    text = key_file.read_text(_chain(path)) or ""
    if not text.strip():
        return
    try:
        if SigningKey.load(following, name).verifier_key() == Rotation.parse(_last(text)).after:
            key_file.move(following, path)
    except KeyFileError:
        if key_file.exists(following):
            raise  # otherwise another process has just done it


def _last(chain: str) -> str:
    return f"{split(chain)[-1].partition(chr(10) * 2)[0]}\n"


class Notary:
    """Checks signatures of ledgers and witnesses."""

    def open_note(self, note: str, key: str) -> str:
        return verify_text(note, key)

    def cosigned_at(self, note: str, key: str) -> int | None:
        return cosigned_at(note, key)


def cosigned_at(note: str, witness_key: str) -> int | None:
    """Return when a witness signed a note, in seconds since 1970; ``None`` if it did not.

    CorruptError if text or signature were changed.
    """
    key = VerifierKey.parse(witness_key, _COSIGNING)
    signed = SignedNote.parse(note)
    for found in signed.signatures:
        if (found.name, found.key_id) == (key.name, key.id()) and len(found.signature) > _TIME.size:
            (seconds,) = _TIME.unpack(found.signature[: _TIME.size])
            _require(key, found.signature[_TIME.size :], cosigned(signed.text, seconds))
            return int(seconds)
    return None


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
    key = VerifierKey.parse(verifier_key)
    signed = SignedNote.parse(note)
    ours = [found for found in signed.signatures if (found.name, found.key_id) == (key.name, key.id())]
    if not ours:
        msg = f"the note is not signed by {key.name}+{key.id().hex()} — give the verifier key of this log"
        raise InvalidValueError(msg)
    for found in ours:
        _require(key, found.signature, signed.text)
    return signed.text


def _require(key: VerifierKey, signature: bytes, text: str) -> None:
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - only who verifies pays for it
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415

    try:
        Ed25519PublicKey.from_public_bytes(key.public).verify(signature, text.encode())
    except InvalidSignature as error:
        msg = f"the signature of {key.name} does not fit the text: one of them was changed — do not trust this note"
        raise CorruptError(msg) from error


def _no_key(text: str) -> InvalidValueError:
    return InvalidValueError(f"{text[:80]!r} is no Ed25519 verifier key — give it as name+id+key, as it was shown")
