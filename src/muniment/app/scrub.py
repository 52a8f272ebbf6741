"""Scrubbing: what was destroyed also leaves free pages, logs, caches and memories; what may stay is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from muniment.app import staging
from muniment.app.config import Config
from muniment.app.drafts import PART_LASTS
from muniment.app.log_artifact import PARTS
from muniment.app.store import Store
from muniment.domain.values import Residual


def scrub(store: Store) -> tuple[Residual, ...]:
    """Make all that this store keeps on this machine and in its databases forget what was deleted.

    The cache and the memory of unchanged files are emptied, and what dead processes left waiting goes. The files and
    tables are written anew, which takes as long as reading them and as much room again. What comes back may hold bytes
    of what was deleted still. Only copies that nobody told the store of are not in it, such as backups.
    """
    staging.reclaim(store)
    store.files.forget()
    found = [] if store.cache.clear() else [Residual("the cache", "a program was reading blobs from it — do it again")]
    found += _in_use(store)
    for scrubber in store.scrubbers:
        found += scrubber.scrub()
    return tuple(found)


def _in_use(store: Store) -> list[Residual]:
    """Return what programs that are running need still."""
    found = []
    if store.staging.is_dir() and any(path.is_dir() for path in store.staging.iterdir()):
        found.append(Residual("files that wait to be logged", "the program that brought them has not ended"))
    if parts := store.ledger.scratch.items(PARTS):
        why = f"{len(parts)} parts of versions that several processes make are not logged yet, and name them"
        found.append(Residual("drafts in the ledger", why, store.clock() + PART_LASTS))
    return found


def files(config: Config) -> Iterator[Path]:
    """Yield the paths of the SQLite files that a store with these settings may have on this machine."""
    folder = _path(config, "vault", "") or _path(config, "key_file", "master.key", parent=True)
    places = (
        _path(config, "ledger", "ledger.sqlite3"),
        folder and folder / "vault.sqlite3",
        folder and folder / "keys.sqlite3",
        config.path("cache_dir", "cache") / "files.sqlite3",
        (blobs := _path(config, "blobs", "blobs")) and blobs / ".index.sqlite3",
    )
    yield from (place for place in places if place is not None)
    yield from sorted(config.home.glob("remote/*/index.sqlite3"))


def _path(config: Config, name: str, default: str, *, parent: bool = False) -> Path | None:
    """Return the path that a setting names; ``None`` if it names a place elsewhere."""
    scheme, named, _ = (config[name] or "").partition("://")
    if named and scheme != "file":
        return None
    found = Path(unquote(urlsplit(config.text(name)).path)) if named else config.path(name, default)
    return found.parent if parent else found
