"""What a store says while it is drilled: its log, the errors it raises and how its things show themselves, in files."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from attrs import frozen

from muniment.app import logs
from muniment.app.config import load
from muniment.app.store import Store

LOG: Final = "log.txt"


@frozen
class Said:
    """Files in a *folder*, which is searched with all the rest."""

    folder: Path

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Keep every line that is logged, down to the finest, as the log would have it."""
        self.folder.mkdir(exist_ok=True)
        with (self.folder / LOG).open("a") as log, logs.listening(load({}), log):
            yield

    def error(self, error: BaseException) -> None:
        """Keep how an error shows itself, and where it came from."""
        told = "".join(traceback.format_exception(error))
        with (self.folder / "errors.txt").open("a") as file:
            file.write(f"{error!r}\n{told}")

    def shown(self, store: Store) -> None:
        """Keep how a store and its events show themselves."""
        with (self.folder / "shown.txt").open("a") as file:
            file.write(f"{store!r}\n")
            file.writelines(f"{recorded!r}\n" for recorded in store.ledger.read())
