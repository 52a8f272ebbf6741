"""A witness in a folder of its own: its key, the ledgers it watches, the newest note of each, and evidence."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Final

from attrs import frozen

from muniment.adapters import key_file, signing
from muniment.domain.checkpoint import Signature
from muniment.domain.errors import ConflictError, InvalidNameError, NotFoundError, StorageError

KEY: Final = "witness.key"
NAME: Final = "name"
NEWEST: Final = "newest.note"


def newest_note(path: Path, origin: str) -> Path:
    """Return where a witness keeps the newest note that it signed of a ledger."""
    return path / "logs" / sha256(origin.encode()).hexdigest()[:16] / NEWEST


@frozen
class WitnessFolder:
    """One witness. Its files are replaced as a whole, and only by whoever holds its lock."""

    path: Path
    key: signing.SigningKey

    @classmethod
    def init(cls, path: Path, name: str) -> WitnessFolder:
        """Make a witness with a new key in a folder; ConflictError if there is one."""
        Signature(name, bytes(4), b"\x00")  # a name must be able to stand in a signature line
        if "/" not in name and "." not in name:
            msg = f"{name!r} does not tell witnesses apart — name it like a web address, such as dpo.example.org/w1"
            raise InvalidNameError(msg)
        key_file.make_folder(path)
        if key_file.exists(path / NAME):
            msg = f"there is a witness in {path} already — name another folder"
            raise ConflictError(msg)
        signing.SigningKey.at(path / KEY, name)
        key_file.create(path / NAME, f"{name}\n".encode())
        return cls.at(path)

    @classmethod
    def at(cls, path: Path) -> WitnessFolder:
        """Open a witness; NotFoundError if the folder holds none."""
        name = key_file.read_text(path / NAME)
        if name is None:
            msg = f"there is no witness in {path} — make one with `muniment witness init`"
            raise NotFoundError(msg)
        return cls(path, signing.SigningKey.load(path / KEY, name.strip()))

    @contextmanager
    def alone(self) -> Iterator[None]:
        try:
            handle = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            msg = (
                f"the witness in {self.path} cannot be used ({error.strerror}) — check the owner and mode of its folder"
            )
            raise StorageError(msg) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def watch(self, key: str) -> str:
        """Watch the ledger of this verifier key; return its name. Another key for a watched ledger is refused."""
        origin = signing.VerifierKey.parse(key).name
        with self.alone():
            known = self.log_key(origin)
            if known not in {None, key.strip()}:
                msg = f"the witness watches {origin} with another key — a new key comes with its chain (--chain)"
                raise ConflictError(msg)
            folder = self._folder(origin)
            key_file.make_folder(folder)
            key_file.overwrite(folder / "log.key", f"{key.strip()}\n".encode())
        return origin

    def logs(self) -> list[str]:
        keys = (key_file.read_text(path) for path in sorted(self.path.glob("logs/*/log.key")))
        return [key.partition("+")[0] for key in keys if key is not None]

    def log_key(self, origin: str) -> str | None:
        found = self._text(origin, "log.key")
        return None if found is None else found.strip()

    def seen(self, origin: str) -> str | None:
        return self._text(origin, NEWEST)

    def keep(self, origin: str, note: str) -> None:
        key_file.overwrite(self._folder(origin) / NEWEST, note.encode())

    def chain(self, origin: str) -> str:
        return self._text(origin, "keys.chain") or ""

    def learn(self, origin: str, chain: str) -> None:
        key_file.overwrite(self._folder(origin) / "keys.chain", chain.encode())

    def accuse(self, origin: str, seen: str, shown: str) -> str:
        name = sha256(f"{seen}{shown}".encode()).hexdigest()[:16]
        folder = self._folder(origin) / "evidence" / name
        key_file.make_folder(folder)
        key_file.overwrite(folder / "seen.note", seen.encode())
        key_file.overwrite(folder / "shown.note", shown.encode())
        return str(folder.relative_to(self.path))

    def cosign(self, text: str, seconds: int) -> Signature:
        return self.key.cosign(text, seconds)

    def verifier_key(self) -> str:
        return self.key.cosigner_key()

    def _folder(self, origin: str) -> Path:
        return newest_note(self.path, origin).parent

    def _text(self, origin: str, name: str) -> str | None:
        return key_file.read_text(self._folder(origin) / name)
