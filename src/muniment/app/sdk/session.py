"""The store that the library works on: one per process, opened when it is first needed."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from attrs import evolve, frozen

from muniment.app.config import SETTINGS, Config, load
from muniment.app.names import Address, parse
from muniment.domain.errors import InvalidNameError
from muniment.domain.rows import OrganisationRow, TeamRow
from muniment.domain.values import REGISTRY_PREFIX

if TYPE_CHECKING:
    from muniment.app.store import Store

LEGACY_REGISTRY = "model-registry"
PLACES = frozenset(
    {
        "home",
        "ledger",
        "vault",
        "blobs",
        "key_file",
        "signing_key",
        "actor",
        "organisation",
        "cache_dir",
        "cache_max",
        "data_dir",
    }
)
"""The settings that say which store is meant and who acts on it."""


@frozen
class _Opened:
    """A store that is open, and under which circumstances it is the right one."""

    pid: int
    places: tuple[str | None, ...]
    store: Store


class _Session:
    """What the process has chosen and opened."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.chosen: Config | None = None
        self.read: tuple[tuple[str | None, ...], Config] | None = None
        self.opened: _Opened | None = None


_session = _Session()


def _after_fork() -> None:
    _session.lock = threading.RLock()


os.register_at_fork(after_in_child=_after_fork)


def config() -> Config:
    """Return the settings in force: those handed to ``use``, or what the environment and ``config.toml`` say now."""
    with _session.lock:
        if _session.chosen is not None:
            return _session.chosen
        environ = tuple(os.environ.get(name) for each in SETTINGS for name in (each.variable, each.twin) if name)
        if _session.read is None or _session.read[0] != environ:
            _session.read = (environ, load())
        return _session.read[1]


def use(chosen: Config | None) -> None:
    """Work with these settings from now on; ``None`` goes back to the environment."""
    with _session.lock:
        _session.chosen = chosen


def store() -> Store:
    """Return the store that the settings mean, opened if it is not; another one after they or the process changed."""
    settings = config()
    places = tuple(settings[name] for name in sorted(PLACES))
    with _session.lock:
        opened = _session.opened
        if opened is None or opened.pid != os.getpid() or opened.places != places:
            from muniment.app.bootstrap import open_store  # noqa: PLC0415 (loaded when a store is opened)

            if opened is not None and opened.pid == os.getpid():
                opened.store.ledger.close()
            opened = _session.opened = _Opened(os.getpid(), places, open_store(settings))
        if opened.store.config is not settings:
            opened = _session.opened = evolve(opened, store=evolve(opened.store, config=settings))
        return opened.store


def close() -> None:
    """Let go of the store; the next use opens it again."""
    with _session.lock:
        opened, _session.opened = _session.opened, None
        if opened is not None:
            opened.store.ledger.close()


def address(text: str, *, entity: str | None = None, project: str | None = None) -> Address:
    """Read a name; what it leaves out is *entity* and *project*, or what the settings say.

    A registry may be named with its organisation, with a team of it, or, if neither is given, as that of the team.
    """
    settings = config()
    team = entity or settings.text("entity")
    found = parse(
        text, entity=team, project=project or settings.text("project"), organisation=_organisation(team, settings)
    )
    if found.registry is None:
        return found
    views = store().views
    if views.find(OrganisationRow, name=found.owner) is None:
        return evolve(found, owner=_organisation_of(found.owner) or found.owner)
    return found


def target(text: str, *, entity: str | None = None, project: str | None = None) -> Address:
    """Read where to link to: a collection without an alias, W&B's older ``model-registry`` included."""
    if not isinstance(text, str) or ":" in text:
        msg = f"Invalid target path: {text!r} — write [organization/]wandb-registry-<registry>/<collection>"
        raise InvalidNameError(msg)
    parts = text.split("/")
    if parts[:-1] and parts[-2] == LEGACY_REGISTRY:
        text = "/".join([*parts[:-2], f"{REGISTRY_PREFIX}model", parts[-1]])
    return address(text, entity=entity, project=project)


def _organisation(team: str, settings: Config) -> str:
    """Return the organisation that is meant where none is named."""
    if settings.sources["organisation"] != "default":
        return settings.text("organisation")
    return _organisation_of(team) or settings.text("organisation")


def _organisation_of(team: str) -> str | None:
    views = store().views
    row = views.find(TeamRow, name=team)
    owner = views.find(OrganisationRow, organisation_id=row.organisation_id) if row else None
    return owner.name if owner else None
