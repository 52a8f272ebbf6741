"""The files of a logged artifact, listed page by page."""

from __future__ import annotations

import mimetypes
import os
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Protocol, overload

from muniment.app.sdk.entry import ArtifactManifestEntry, Owner
from muniment.domain.errors import InvalidValueError
from muniment.domain.manifest import Entry


class Listed(Owner, Protocol):
    """The artifact whose files are listed."""

    @property
    def id(self) -> str | None:
        """The id of the version."""
        ...


class File:
    """One file of a logged artifact."""

    def __init__(self, entry: Entry, artifact: Listed) -> None:
        self._entry = ArtifactManifestEntry(entry, artifact)
        self._artifact = artifact

    @property
    def name(self) -> str:
        """The path inside the artifact."""
        return self._entry.path

    @property
    def size(self) -> int:
        """The size in bytes; 0 if a reference does not tell."""
        return self._entry.size or 0

    @property
    def url(self) -> str:
        """Where the content is: a reference's own URI, or the address of a stored file in this store."""
        return self._entry.ref or self._entry.ref_url()

    @property
    def direct_url(self) -> str:
        """Where the content is."""
        return self.url

    @property
    def digest(self) -> str:
        """The digest of the content."""
        return self._entry.digest

    @property
    def md5(self) -> str | None:
        """The MD5 as W&B shows it, if it was computed."""
        return self._entry.entry.annex.get("md5")

    @property
    def mimetype(self) -> str | None:
        """The media type, guessed from the name."""
        return self._entry.entry.annex.get("contentType") or mimetypes.guess_type(self.name)[0]

    def path_uri(self) -> str:
        """Return where the content is."""
        return self.url

    def download(self, root: str = ".", replace: bool = False, exist_ok: bool = False, api: object = None) -> Any:  # noqa: ANN401 (an open file)
        """Write the content below *root*, verified, and open it; a file that is there is only replaced if asked."""
        del api
        path = os.path.join(root, self.name)  # noqa: PTH118 (text in, text out)
        if os.path.exists(path) and not replace:  # noqa: PTH110
            if not exist_ok:
                msg = f"File already exists: {path!r} — pass replace=True to overwrite it or exist_ok=True to leave it"
                raise InvalidValueError(msg)
        else:
            self._entry.download(root)
        return open(path)  # noqa: PTH123 (whoever asked closes it)

    def __repr__(self) -> str:
        return f"<File {self.name} ({self.mimetype}) {self.size} bytes>"


class Entries(Protocol):
    """Where the files come from."""

    def __len__(self) -> int: ...
    def get(self, path: str) -> Entry | None:
        """Return the entry of this path, or ``None``."""
        ...

    def entries(self, prefix: str = "") -> Iterator[Entry]:
        """Yield the entries in order."""
        ...


class ArtifactFiles(Sequence[File]):
    """The files of a logged artifact, all of them or those with given *names*, after the cursor *start*."""

    def __init__(
        self,
        held: Entries,
        artifact: Listed,
        names: Collection[str] | None = None,
        per_page: int = 50,
        start: str | None = None,
    ) -> None:
        self._held = held
        self._artifact = artifact
        self._names = None if names is None else sorted(set(names))
        self._start = start
        self.per_page = per_page
        self._loaded: list[File] = []
        self._rest = self._read()

    @property
    def cursor(self) -> str | None:
        """Where the listing can go on: the path of the last file that was looked at."""
        return self._loaded[-1].name if self._loaded else self._start

    @property
    def more(self) -> bool:
        """Whether there are files that were not looked at."""
        return self._load(len(self._loaded) + 1)

    def __iter__(self) -> Iterator[File]:
        at = 0
        while self._load(at + 1):
            yield self._loaded[at]
            at += 1

    def __len__(self) -> int:
        if self._names is None and self._start is None:
            return len(self._held)
        self._load(None)
        return len(self._loaded)

    @overload
    def __getitem__(self, at: int) -> File: ...
    @overload
    def __getitem__(self, at: slice) -> list[File]: ...
    def __getitem__(self, at: int | slice) -> File | list[File]:
        last = at.stop if isinstance(at, slice) else at
        self._load(None if last is None or last < 0 else last + 1)
        return self._loaded[at]

    def __repr__(self) -> str:
        return f"<ArtifactFiles ({len(self)})>"

    def _load(self, count: int | None) -> bool:
        while count is None or len(self._loaded) < count:
            found = next(self._rest, None)
            if found is None:
                return False
            self._loaded.append(found)
        return True

    def _read(self) -> Iterator[File]:
        if self._names is None:
            entries = self._held.entries()
        else:
            entries = (entry for name in self._names if (entry := self._held.get(name)) is not None)
        return (File(entry, self._artifact) for entry in entries if self._start is None or entry.path > self._start)
