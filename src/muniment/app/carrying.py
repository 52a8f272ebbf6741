"""Blobs on their way from one place to another: every byte verified before it is given on."""

from __future__ import annotations

from functools import partial
from hashlib import sha256
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from attrs import define, field

from muniment.app.files.staging import Staging
from muniment.app.store import Store
from muniment.domain.ports import BlobSource, BlobStore
from muniment.domain.values import Digest

SMALL: Final = 256 << 10
"""Up to how many bytes a blob travels in memory."""


@define(eq=False)
class Carrier:
    """Fetches blobs to be put elsewhere; large ones wait in a file of the staging folder until they are forgotten."""

    store: Store
    _staging: Staging = field(init=False)
    _files: dict[Digest, str] = field(init=False, factory=dict)

    def __attrs_post_init__(self) -> None:
        self._staging = Staging(self.store)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._staging.close()

    def fetch(self, blobs: BlobStore, digest: Digest) -> BlobSource:
        """Return a blob as it can be put; CorruptError if it is damaged, NotFoundError if it is not there."""
        with blobs.open(digest) as stream:
            begun = stream.read(SMALL + 1)
            if len(begun) <= SMALL and sha256(begun).hexdigest() == digest:
                return BlobSource(digest, len(begun), begun)
            kept = self._staging.keep(digest, chain([begun], iter(partial(stream.read, SMALL), b"")))
        if kept.path is not None:
            self._files[digest] = kept.path
        return kept

    def forget(self, digest: Digest) -> None:
        """Remove what waited of a blob that was put."""
        if digest in self._files:
            Path(self._files.pop(digest)).unlink(missing_ok=True)
