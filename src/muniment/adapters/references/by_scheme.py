"""Which adapter reads references of a scheme; each is loaded when a reference asks for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from attrs import define, field

if TYPE_CHECKING:
    from muniment.domain.ports import ReferenceStore

OWN: Final = ("file", "http", "https", "s3")
"""The schemes with an adapter of their own; fsspec has all others."""


@define(eq=False)
class ReferencesByScheme(Mapping[str, "ReferenceStore"]):
    """The reference stores by scheme; a scheme that nothing here reads is a KeyError.

    Listed are our own schemes and those of fsspec that were asked for.
    """

    _loaded: dict[str, ReferenceStore] = field(factory=dict, init=False)

    def __getitem__(self, scheme: str) -> ReferenceStore:
        """Return the store of a scheme."""
        if scheme not in self._loaded:
            self._loaded[scheme] = _load(scheme)
        return self._loaded[scheme]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the schemes."""
        return iter(dict.fromkeys((*OWN, *self._loaded)))

    def __len__(self) -> int:
        """Return how many schemes are listed."""
        return len({*OWN, *self._loaded})


def is_known_to_fsspec(scheme: str) -> bool:
    """Whether fsspec is here and reads a scheme that is none of our own."""
    if scheme == "file" or find_spec("fsspec") is None:
        return False
    from muniment.adapters.references.fsspec import answers_for  # noqa: PLC0415 (fsspec is an extra)

    return answers_for(scheme)


def _load(scheme: str) -> ReferenceStore:
    if scheme == "file":
        from muniment.adapters.references.file import FileReferences  # noqa: PLC0415 (loaded when used)

        return FileReferences()
    if scheme in {"http", "https"}:
        from muniment.adapters.references.http import HttpReferences  # noqa: PLC0415 (loaded when used)

        return HttpReferences()
    if scheme == "s3":
        from muniment.adapters.references.s3 import S3References  # noqa: PLC0415 (boto3 is an extra)

        return S3References()
    if not is_known_to_fsspec(scheme):
        raise KeyError(scheme)
    from muniment.adapters.references.fsspec import FsspecReferences  # noqa: PLC0415 (fsspec is an extra)

    return FsspecReferences((scheme,))
