"""Scrubbing: what was destroyed also leaves free pages, logs, caches and memories; what may stay is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from muniment.app.drafts import PART_LASTS
from muniment.app.files import staging
from muniment.app.log_artifact import PARTS
from muniment.app.reach import sites
from muniment.app.store import Store
from muniment.domain.values import Residual

INDEX: Final = ".index.sqlite3"
"""What the index of packs is called in a folder of blobs."""


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


def files(store: Store) -> Iterator[Path]:
    """Yield the paths of the SQLite files that a store may have on this machine."""
    config = store.config
    keys = config.path("key_file", "master.key").parent
    vault = _path(config["vault"] or str(config.home)) or keys
    ledger = _path(config["ledger"] or str(config.home / "ledger.sqlite3"))
    places = [_path(site.url or config["blobs"] or str(config.home / "blobs")) for site in sites(store)]
    found = [ledger, vault / "vault.sqlite3", vault / "keys.sqlite3", *(place and place / INDEX for place in places)]
    yield from (path for path in found if path is not None)
    yield config.path("cache_dir", "cache") / "files.sqlite3"
    yield from sorted(config.home.glob("remote/*/index.sqlite3"))


def _path(place: str) -> Path | None:
    """Return the path that a setting or a team names; ``None`` if it names a place elsewhere."""
    scheme, named, _ = place.partition("://")
    if named and scheme != "file":
        return None
    return Path(unquote(urlsplit(place).path)) if named else Path(place).expanduser().absolute()
