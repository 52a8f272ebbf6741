"""Putting files, references and tables into a draft, and finding them again."""

from __future__ import annotations

import os
import tempfile
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

from attrs import evolve

from muniment.app import fence
from muniment.app.files.download import open_entry
from muniment.app.files.reference import reference_to, resolve
from muniment.app.files.staging import POLICIES, Policy
from muniment.app.sdk.contents import Contents, MissingEntryError
from muniment.app.sdk.entry import ArtifactManifestEntry
from muniment.app.sdk.errors import UsageError
from muniment.app.sdk.kinds import path_text
from muniment.app.sdk.plain import NotJsonError
from muniment.app.sdk.state import Stateful
from muniment.app.sdk.table import SUFFIX, Table
from muniment.domain.errors import InvalidValueError
from muniment.domain.manifest import Entry
from muniment.domain.values import entry_path

Local = str | os.PathLike[str]
CLIENT_SCHEME: Final = "wandb-client-artifact"


class NotAFileError(InvalidValueError, FileNotFoundError):
    """There is no file, or no folder, of this path."""


class Filling(Stateful):
    """What can be done with the content of a draft."""

    _client_id: str

    # --- adding -------------------------------------------------------------------------------------------------------

    def add_file(
        self,
        local_path: Local,
        name: str | None = None,
        is_tmp: bool | None = False,
        skip_cache: bool | None = False,
        policy: str | None = "mutable",
        overwrite: bool = False,
    ) -> ArtifactManifestEntry:
        """Add a local file, called *name* inside or as it is called outside.

        With ``policy="mutable"`` it is copied now; with ``"immutable"`` you promise not to change it until it is
        logged. *is_tmp* and *skip_cache* are accepted.
        """
        del is_tmp, skip_cache
        contents, local = self._draft("add_file"), path_text(local_path, "local_path")
        if not Path(local).is_file():
            msg = f"Path is not a file: {local!r}"
            raise NotAFileError(msg)
        path = _inside(name or Path(local).name)
        (entry,) = contents.add_files([(local, path)], policy=_policy(policy), overwrite=overwrite)
        return self._entry(entry)

    def add_dir(
        self,
        local_path: Local,
        name: str | None = None,
        skip_cache: bool | None = False,
        policy: str | None = "mutable",
        merge: bool = False,
    ) -> None:
        """Add all files of a local folder, below *name* inside; with *merge* they replace what is there."""
        del skip_cache
        contents, local = self._draft("add_dir"), path_text(local_path, "local_path")
        if not Path(local).is_dir():
            msg = f"Path is not a directory: {local!r}"
            raise NotAFileError(msg)
        prefix = f"{_inside(name)}/" if name and name.strip("/") not in {"", "."} else ""
        contents.add_folder(local, prefix, policy=_policy(policy), overwrite=merge)

    def add_reference(
        self,
        uri: str | ArtifactManifestEntry,
        name: str | None = None,
        checksum: bool = True,
        max_objects: int | None = None,
    ) -> Sequence[ArtifactManifestEntry]:
        """Track what is at *uri* without copying it: a file, a folder, a web page, an entry of another artifact.

        With ``checksum=False`` only the location is recorded. More than *max_objects* (10,000,000) is an error.
        """
        contents = self._draft("add_reference")
        if isinstance(uri, ArtifactManifestEntry):
            return [self._entry(self._refer(contents, uri, name))]
        path = None if name is None else _inside(name)
        entries = resolve(self.store, str(uri), path, checksum=checksum, max_objects=max_objects, md5=self._md5)
        return [self._entry(entry) for entry in contents.add_entries(entries)]

    def add(self, obj: Table, name: str, overwrite: bool = False) -> ArtifactManifestEntry:
        """Add a table, kept as ``<name>.table.json``."""
        contents = self._draft("add")
        if not isinstance(obj, Table):
            msg = f"Found object of type {type(obj).__name__}, expected a Table — add files with add_file"
            raise NotJsonError(msg)
        path = _inside(name if name.endswith(SUFFIX) else f"{name}{SUFFIX}")
        return self._entry(contents.add_bytes(path, obj.to_bytes(), overwrite=overwrite))

    def __setitem__(self, name: str, item: Table) -> None:
        self.add(item, name)

    @contextmanager
    def new_file(
        self, name: str, mode: str = "x", encoding: str | None = None, policy: str | None = "mutable"
    ) -> Iterator[IO[Any]]:
        """Open a new file to write to, which is added when it is closed; mode ``w`` replaces one that is there."""
        contents, path = self._draft("new_file"), _inside(name)
        if not mode or mode[0] not in "xw" or set(mode[1:]) - set("bt+"):
            msg = f"mode must be 'x' or 'w', with 'b' for bytes, not {mode!r}"
            raise UsageError(msg)
        if mode.startswith("x") and contents.get(path) is not None:
            msg = f"File with name {path!r} already exists"
            raise InvalidValueError(msg)
        _policy(policy)
        with tempfile.TemporaryDirectory(prefix="muniment-") as folder:
            local = Path(folder, "new")
            text = None if "b" in mode else encoding or "utf-8"
            with local.open(mode, encoding=text) as file:
                yield file
            contents.add_files([(str(local), path)], policy="mutable", overwrite=mode.startswith("w"))

    def remove(self, item: str | os.PathLike[str] | ArtifactManifestEntry) -> None:
        """Take an entry out, or all that lie below a folder."""
        contents = self._draft("remove")
        contents.remove(item.path if isinstance(item, ArtifactManifestEntry) else path_text(item, "item"))

    # --- finding ------------------------------------------------------------------------------------------------------

    def get_entry(self, name: str | os.PathLike[str]) -> ArtifactManifestEntry:
        """Return the entry of this path; GoneError if a data subject had it erased."""
        path = path_text(name, "name")
        found = self.held().get(path) or self.held().get(f"{path}{SUFFIX}")
        if found is None:
            erased = None if self._found is None else fence.gone(self.store, self._found.version.version_id, path)
            msg = f"Path not contained in artifact: {path!r}"
            raise erased or MissingEntryError(msg)
        return self._entry(found)

    def get_path(self, name: str | os.PathLike[str]) -> ArtifactManifestEntry:
        """Return the entry of this path; W&B's older name for ``get_entry``."""
        return self.get_entry(name)

    def get(self, name: str) -> Table | None:
        """Return the table of this name, or ``None``."""
        store = self.store.of_team(self._readable("get").team.team_id)
        found = self.held().get(name if name.endswith(SUFFIX) else f"{name}{SUFFIX}")
        if found is None:
            return None
        with open_entry(store, found) as file:
            return Table.from_bytes(file.read(), found.path)

    def __getitem__(self, name: str) -> Table | None:
        return self.get(name)

    def get_added_local_path_name(self, local_path: Local) -> str | None:
        """Return what an added local file is called inside, or ``None``."""
        return self._contents.path_of(path_text(local_path, "local_path")) if self._contents is not None else None

    # --- inside -------------------------------------------------------------------------------------------------------

    @abstractmethod
    def _entry(self, entry: Entry) -> ArtifactManifestEntry:
        """Return what the class that is used knows."""

    def entry_address(self, path: str) -> str:
        """Return the URI by which other artifacts refer to an entry of this one."""
        if self._found is not None:
            return reference_to(self._found.version.version_id, path)
        return f"{CLIENT_SCHEME}://{self._client_id}/{path}"

    def _refer(self, contents: Contents, target: ArtifactManifestEntry, name: str | None) -> Entry:
        """Refer to an entry of another artifact, which may be a draft as long as it is logged before this one."""
        parent = target.parent_artifact()
        path = _inside(name or target.path.rpartition("/")[2])
        if not parent.is_draft():
            (entry,) = resolve(self.store, target.ref_url(), path, md5=self._md5)
            return contents.add_entries([entry])[0]
        placeholder = evolve(target.entry, path=path, ref=target.ref_url())
        return contents.add_target(placeholder, parent, lambda: str(parent.wait().entry_address(target.path)))


def _inside(name: str | os.PathLike[str]) -> str:
    """Return a path inside an artifact, ``./`` and doubled slashes taken out; what leads elsewhere is refused."""
    text = path_text(name, "name")
    if text.startswith("/"):
        return entry_path(text)
    return entry_path("/".join(part for part in text.split("/") if part not in {"", "."}))


def _policy(policy: str | None) -> Policy:
    if policy not in POLICIES:
        msg = f"Policy must be one of {list(POLICIES)}, got {policy!r} instead."
        raise InvalidValueError(msg)
    return policy
