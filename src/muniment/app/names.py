"""How people name things: ``[entity/][project/]name[:alias|vN]``, and collections of registries likewise."""

from __future__ import annotations

from attrs import frozen

from muniment.domain.errors import InvalidNameError
from muniment.domain.values import LATEST, REGISTRY_PREFIX, version_index


@frozen
class Address:
    """Where an artifact version or collection is: ``owner`` is a team or, for a registry, an organisation."""

    owner: str
    project: str
    name: str
    alias: str = LATEST

    @property
    def registry(self) -> str | None:
        """The short name of the registry, if this is one."""
        return self.project.removeprefix(REGISTRY_PREFIX) if self.project.startswith(REGISTRY_PREFIX) else None

    @property
    def index(self) -> int | None:
        """The number of the version, if it was given as ``vN``."""
        return version_index(self.alias)

    def __str__(self) -> str:
        return f"{self.owner}/{self.project}/{self.name}:{self.alias}"


def parse(text: str, *, entity: str, project: str, organisation: str) -> Address:
    """Read a name; what it leaves out is *entity* and *project*, for a registry *organisation*."""
    if not isinstance(text, str) or not text.strip():
        msg = f"Invalid artifact path: {text!r} — write [entity/][project/]name[:alias]"
        raise InvalidNameError(msg)
    path, colon, alias = text.partition(":")
    parts = path.split("/")
    if len(parts) > 3 or not all(parts) or (colon and not alias):  # noqa: PLR2004 (entity, project, name)
        msg = f"Invalid artifact path: {text!r} — write [entity/][project/]name[:alias]"
        raise InvalidNameError(msg)
    name, inner, outer = [*reversed(parts), None, None][:3]
    inner = inner or project
    assumed = organisation if inner.startswith(REGISTRY_PREFIX) else entity
    return Address(outer or assumed, inner, name or "", alias or LATEST)
