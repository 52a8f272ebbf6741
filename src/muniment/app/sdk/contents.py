"""What a draft holds: the files that were added to it, over those of the version that it began from."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from attrs import define, field

from muniment.app import directory
from muniment.app.files.reference import resolve
from muniment.app.files.staging import Policy, Staged, Staging
from muniment.app.files.walking import walk
from muniment.app.manifests import Manifest, Removed, merge
from muniment.domain.errors import InvalidValueError, MunimentError, NotFoundError
from muniment.domain.manifest import Entry, check_clashes, version_digest

if TYPE_CHECKING:
    from muniment.app.store import Store

Target = Callable[[], str]
"""Returns the URI of an entry of another artifact, once that is logged."""


@define(eq=False)
class Contents:
    """The entries of a draft: *base* and the changes to it."""

    _store: Callable[[], Store]
    md5: bool = False
    base: Manifest | None = None
    changes: dict[str, Staged | Removed] = field(factory=dict)
    _added: dict[str, str] = field(factory=dict)
    _folders: list[tuple[str, str]] = field(factory=list)
    targets: dict[str, Target] = field(factory=dict)
    parents: dict[str, object] = field(factory=dict)
    _staging: Staging | None = None
    _sum: tuple[int, int, str] | None = None

    # --- changing -----------------------------------------------------------------------------------------------------

    def add_folder(self, folder: str, prefix: str, *, policy: Policy, overwrite: bool) -> None:
        """Add all files below a folder, *prefix* before their paths inside."""
        self._add([(local, prefix + path) for local, path in walk(folder)], policy=policy, overwrite=overwrite)
        self._folders.append((os.path.abspath(folder), prefix))  # noqa: PTH100 (text in, text out)

    def add_files(self, files: Sequence[tuple[str, str]], *, policy: Policy, overwrite: bool) -> list[Entry]:
        """Add local files, each with its path inside; what is there with the same content stays."""
        entries = self._add(files, policy=policy, overwrite=overwrite)
        self._added |= {os.path.realpath(local): path for local, path in files}
        return entries

    def _add(self, files: Sequence[tuple[str, str]], *, policy: Policy, overwrite: bool) -> list[Entry]:
        staged = self._open().add_files(files, policy=policy, md5=self.md5)
        return [self._put(each, overwrite=overwrite) for each in staged]

    def add_bytes(self, path: str, content: bytes, *, overwrite: bool) -> Entry:
        """Add bytes that come from no file."""
        return self._put(self._open().add_bytes(path, content, md5=self.md5), overwrite=overwrite)

    def add_entries(self, entries: Iterable[Entry], *, overwrite: bool = False) -> list[Entry]:
        """Add references."""
        return [self._put(Staged(entry), overwrite=overwrite) for entry in entries]

    def add_target(self, entry: Entry, parent: object, target: Target) -> Entry:
        """Add a reference to an entry of an artifact, *parent*, that is not logged yet."""
        self.targets[entry.path], self.parents[entry.path] = target, parent
        return self._put(Staged(entry), overwrite=False)

    def remove(self, path: str) -> None:
        """Take an entry out, or all entries below a folder; NotFoundError if there is neither."""
        below = [entry.path for entry in self.entries(f"{path.rstrip('/')}/")]
        paths = [path] if self.get(path) else below
        if not paths:
            msg = f"No such file or directory: {path!r}"
            raise MissingEntryError(msg)
        for each in paths:
            self.targets.pop(each, None)
            self.parents.pop(each, None)
            if self.base is not None and self.base.get(each) is not None:
                self.changes[each] = Removed(each)
            else:
                del self.changes[each]
        self._sum = None

    def settle(self) -> None:
        """Turn references to entries of artifacts that were not logged into what they are called now."""
        for path, target in self.targets.items():
            (entry,) = resolve(self._store(), target(), path, md5=self.md5)
            self.changes[path] = Staged(entry)
        self.targets.clear()
        self._sum = None

    def close(self) -> None:
        """Let go of the files that waited to be logged."""
        if self._staging is not None:
            self._staging.close()

    # --- looking ------------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return self._summed()[0]

    @property
    def size(self) -> int:
        """The sum of the sizes that are known."""
        return self._summed()[1]

    @property
    def digest(self) -> str:
        """The digest over all entries."""
        return self._summed()[2]

    def get(self, path: str) -> Entry | None:
        """Return the entry of this path, or ``None``."""
        match self.changes.get(path):
            case Staged(entry=entry):
                return entry
            case Removed():
                return None
            case None:
                return self.base.get(path) if self.base is not None else None

    def entries(self, prefix: str = "") -> Iterator[Entry]:
        """Yield the entries whose paths begin with *prefix*, in order."""
        changes = [
            each.entry if isinstance(each, Staged) else each
            for path, each in sorted(self.changes.items())
            if path.startswith(prefix)
        ]
        if self.base is None:
            return (each for each in changes if isinstance(each, Entry))
        return merge(self.base.entries(prefix), changes)

    def staged(self) -> list[Staged]:
        """Return what was added and has bytes to upload."""
        return [each for each in self.changes.values() if isinstance(each, Staged)]

    def local_path(self, path: str) -> str | None:
        """Return where the bytes of an added file wait."""
        each = self.changes.get(path)
        if not isinstance(each, Staged) or each.source is None:
            return None
        if each.source.start is not None:
            each = self.changes[path] = self._open().apart(each)
        return each.source.path if each.source else None

    def path_of(self, local: str) -> str | None:
        """Return under which path a local file was added; links in folders are followed only when that is asked."""
        wanted = os.path.realpath(local)
        if wanted not in self._added:
            for folder, prefix in self._folders:
                with suppress(MunimentError):  # what is not there any more is not found there
                    for found, path in walk(folder):
                        if os.path.realpath(found) == wanted and prefix + path in self.changes:
                            self._added[wanted] = prefix + path
        return self._added.get(wanted)

    def check(self) -> None:
        """Refuse a path that is also the folder of another."""
        check_clashes(sorted(path for path, each in self.changes.items() if isinstance(each, Staged)))

    # --- inside -------------------------------------------------------------------------------------------------------

    def _open(self) -> Staging:
        if self._staging is None:
            store = self._store()
            self._staging = Staging(directory.seen_by(store, store.config.text("entity")))
        return self._staging

    def _put(self, staged: Staged, *, overwrite: bool) -> Entry:
        entry = staged.entry
        there = self.get(entry.path)
        if there is not None:
            if there.same_row(entry):
                return there
            if not overwrite:
                msg = f"Cannot add the same path twice: {entry.path!r} — pass overwrite=True to replace it"
                raise InvalidValueError(msg)
        self.changes[entry.path] = staged
        self._sum = None
        return entry

    def _summed(self) -> tuple[int, int, str]:
        if self._sum is None:
            count = size = 0
            for entry in self.entries():
                count, size = count + 1, size + (entry.size or 0)
            self._sum = (count, size, version_digest(self.entries()))
        return self._sum


class MissingEntryError(NotFoundError, FileNotFoundError, KeyError):
    """The artifact has no entry of this path."""

    def __str__(self) -> str:
        return str(self.args[0])
