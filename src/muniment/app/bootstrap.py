"""The composition root: the only module that knows the adapters."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn
from urllib.parse import unquote, urlsplit

from attrs import evolve

from muniment.adapters.references.by_scheme import ReferencesByScheme, is_known_to_fsspec
from muniment.app import clock, logs, noted, replay, scrub, telemetry
from muniment.app.config import Config
from muniment.app.directory import enter
from muniment.app.places import Places
from muniment.app.projections import FOLDS
from muniment.app.proving import rollback
from muniment.app.store import Store
from muniment.domain.checkpoint import log_name
from muniment.domain.errors import InvalidValueError, NotFoundError, ReadOnlyError, StorageError, SubjectErasedError
from muniment.domain.team import SCHEME_ALONE

if TYPE_CHECKING:
    from muniment.adapters.blobs.cache import BlobCache
    from muniment.adapters.ledger.postgres import PostgresLedger
    from muniment.adapters.ledger.sqlite import SqliteLedger
    from muniment.adapters.vault.postgres import PostgresVault
    from muniment.adapters.vault.sqlite import SqliteVault
    from muniment.adapters.witness_folder import WitnessFolder
    from muniment.app.store import Notary, Scrubber
    from muniment.domain.ports import BlobStore, Context, Ledger, ObjectStore, Vault


KINDS: Final = {
    "ledger": "a path such as ./ledger.sqlite3, or postgresql://user@host/database",
    "vault": "the path of a folder such as ./vault, or postgresql://user@host/database",
    "blobs": "the path of a folder such as ./blobs, s3://bucket/prefix, or a URL that fsspec knows",
}
"""What each setting that names a place takes."""


def open_store(config: Config, *, source: str = "sdk", erasing_again: bool = False) -> Store:
    """Open the store that the settings name, or make it; who acts is known afterwards.

    One that was restored from before an erasure is SubjectErasedError, unless it is opened for *erasing_again*.
    """
    from muniment.adapters import signing  # noqa: PLC0415 (loaded when a store is opened)
    from muniment.adapters.file_memory import SqliteFileMemory  # noqa: PLC0415
    from muniment.adapters.manifests import MsgpackManifestCodec  # noqa: PLC0415

    logs.set_up(config)
    telemetry.set_up(config)
    home = _home(config)
    replayed = replay.found_in(home)
    config = replay.settings_of(config) if replayed else config
    blobs = open_blobs(config)
    ledger = open_ledger(config)
    try:
        vault = open_vault(config, ledger.origin)
        alarm = None if replayed else rollback.found(ledger, _witnessed(config, ledger.origin))
        if replayed:
            context = replay.look(ledger, vault, config, source, replayed)
        else:
            context = _enter(_refusing(ledger, alarm), vault, config, source)
    except BaseException:
        ledger.close()
        raise
    store = Store(
        config=config,
        ledger=ledger,
        vault=vault,
        blobs=blobs,
        cache=open_cache(config),
        codec=MsgpackManifestCodec(),
        files=SqliteFileMemory(config.path("cache_dir", "cache") / "files.sqlite3"),
        references=ReferencesByScheme(),
        clock=clock.now,
        make_signer=lambda: signing.SigningKey.at(config.path("signing_key", "signing.key"), log_name(ledger.origin)),
        notary=signing.Notary(),
        context=context,
        places=open_places(config),
        projections=ledger.projections,
        alarm=alarm,
    )
    store.scrubbers = () if replayed or alarm else _scrubbers(store)
    if not erasing_again and (home / noted.NOTES).exists():
        _require_erased(store)
    if alarm:
        return evolve(_only_read(store, rollback.refusal(alarm)), make_signer=store.make_signer)
    return _only_read(store, partial(ReadOnlyError, replay.REFUSED)) if replayed else store


def _require_erased(store: Store) -> None:
    """Refuse a store in which something is back that was erased."""
    from muniment.app.erasing import erasures  # noqa: PLC0415 (loaded where anything was ever erased)

    lines = erasures.undone(store)
    if lines:
        store.ledger.close()
        raise SubjectErasedError(erasures.told(lines))


def _scrubbers(store: Store) -> tuple[Scrubber, ...]:
    """Return what keeps rows for the store: our files of SQLite, and our schemas in PostgreSQL."""
    from muniment.adapters.sqlite_files import SqliteFiles  # noqa: PLC0415

    urls = {"muniment": store.config["ledger"] or "", "muniment_vault": store.config["vault"] or ""}
    found: list[Scrubber] = [SqliteFiles(partial(scrub.files, store))]
    if any(map(_is_postgres, urls.values())):
        from muniment.adapters.postgres import tables  # noqa: PLC0415 (loaded where it is used)

        found += [tables(url, schema) for schema, url in urls.items() if _is_postgres(url)]
    return tuple(found)


def _refusing(ledger: Ledger, alarm: str | None) -> Ledger:
    if alarm is None:
        return ledger
    from muniment.adapters import read_only  # noqa: PLC0415 (loaded when nothing may be written)

    return read_only.ledger(ledger, rollback.refusal(alarm))


def _witnessed(config: Config, origin: str) -> Iterator[str]:
    """Yield the newest notes that a witness signed: the one kept beside the store, and the witness's own."""
    places = [config.home / rollback.KEPT]
    if config["witness"]:
        places.append(_newest(config.path("witness", ""), origin))
    for place in places:
        try:
            yield place.read_text("utf-8")
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError):
            yield ""


def _newest(place: Path, origin: str) -> Path:
    if not place.is_dir():
        return place
    from muniment.adapters.witness_folder import newest_note  # noqa: PLC0415 (loaded where a witness is named)

    return newest_note(place, log_name(origin))


def open_notary() -> Notary:
    """Return what checks signatures; no store is opened."""
    from muniment.adapters import signing  # noqa: PLC0415

    return signing.Notary()


def open_witness(folder: Path) -> WitnessFolder:
    """Open a witness, which needs no store."""
    from muniment.adapters.witness_folder import WitnessFolder  # noqa: PLC0415

    return WitnessFolder.at(folder)


def make_witness(folder: Path, name: str) -> WitnessFolder:
    """Make a witness, which needs no store."""
    from muniment.adapters.witness_folder import WitnessFolder  # noqa: PLC0415

    return WitnessFolder.init(folder, name)


def _enter(ledger: Ledger, vault: Vault, config: Config, source: str) -> Context:
    return enter(
        ledger,
        vault,
        config.actor,
        organisation=config.text("organisation"),
        team=config.text("entity"),
        project=config.text("project"),
        source=source,
    )


def _only_read(store: Store, why: Callable[[], ReadOnlyError]) -> Store:
    """Return the store with nothing left that writes."""
    from muniment.adapters import read_only  # noqa: PLC0415 (loaded when a replay is opened)

    def sign() -> NoReturn:
        raise why()

    return evolve(
        store,
        ledger=read_only.ledger(store.ledger, why),
        vault=read_only.vault(store.vault, why),
        projections=read_only.projections(store.projections, why),
        blobs=read_only.blobs(store.blobs, why),
        places=Places(store.places.own, lambda url: read_only.blobs(store.places.opening(url), why)),
        make_signer=sign,
    )


def open_places(config: Config) -> Places:
    """Return the places of blobs besides the store's own, none of them opened yet."""
    own = config["blobs"] or str(config.path("blobs", "blobs"))
    return Places(own, lambda url: open_blobs(evolve(config, values={**config.values, "blobs": url})))


def open_blobs(config: Config) -> BlobStore:
    """Open the place of the blobs alone."""
    from muniment.adapters.blobs.local import HALVES, LocalObjectStore  # noqa: PLC0415
    from muniment.adapters.blobs.packs import PackedBlobStore, PackIndex  # noqa: PLC0415

    objects = _remote_objects(config, config["blobs"] or "")
    if objects is not None:
        folder = _remote_folder(config)
        return telemetry.watch(PackedBlobStore(objects, PackIndex(folder / "index.sqlite3"), folder))
    folder = _folder(config, "blobs", "blobs")
    objects = LocalObjectStore.at(folder)
    return telemetry.watch(PackedBlobStore(objects, PackIndex(folder / ".index.sqlite3"), folder / HALVES))


def _remote_objects(config: Config, url: str) -> ObjectStore | None:
    """Open the objects that a URL names; ``None`` where it is a path of this machine, or nothing that is known."""
    scheme, named, _ = url.partition("://")
    if named and scheme == "s3":
        from muniment.adapters.blobs.s3 import Encryption, S3ObjectStore  # noqa: PLC0415

        return S3ObjectStore.at(url, Encryption(config["s3_sse"], config["s3_sse_kms_key_id"]))
    if not named or not is_known_to_fsspec(scheme):
        return None
    from muniment.adapters.blobs.fsspec import FsspecObjectStore  # noqa: PLC0415

    return FsspecObjectStore.at(url)


def _remote_folder(config: Config) -> Path:
    """Return the folder for what we remember of blobs that lie elsewhere; it may be lost."""
    folder = _home(config) / "remote" / sha256(config.text("blobs").encode()).hexdigest()[:16]
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        msg = f"the home folder cannot be written ({error.strerror}) — set MUNIMENT_HOME to a folder that can be"
        raise StorageError(msg) from error
    return folder


def open_ledger(config: Config) -> SqliteLedger | PostgresLedger:
    """Open the ledger alone."""
    _home(config)
    url = config["ledger"] or ""
    if _is_postgres(url):
        return _postgres_ledger(url)
    path = _local(config, "ledger", "ledger.sqlite3")
    _make_folder("ledger", path.parent)
    return _sqlite_ledger(path)


def at_place(config: Config, name: str, place: str, *, there: bool) -> Config:
    """Return the settings with the ledger or vault at this *place*, which must be *there* already if it is a file."""
    found = evolve(config, values={**config.values, name: place})
    if there and not _is_postgres(place) and not _local(found, name, "").exists():
        msg = f"there is no {name} at {place} — give the place where it is, a path or postgresql://…"
        raise NotFoundError(msg)
    return found


def _sqlite_ledger(path: Path) -> SqliteLedger:
    from muniment.adapters.ledger.sqlite import SqliteLedger  # noqa: PLC0415
    from muniment.adapters.views import sqlite as rows  # noqa: PLC0415

    return SqliteLedger.in_file(path, rows, rows.SqliteViews, FOLDS, clock.now)


def _postgres_ledger(url: str) -> PostgresLedger:
    _require_psycopg()
    from muniment.adapters.ledger.postgres import PostgresLedger  # noqa: PLC0415
    from muniment.adapters.views import postgres as rows  # noqa: PLC0415
    from muniment.adapters.views import sqlite as made_rows  # noqa: PLC0415

    return PostgresLedger.at_url(url, rows, made_rows, rows.PostgresViews, FOLDS, clock.now)


def _is_postgres(place: str) -> bool:
    return place.startswith(("postgresql://", "postgres://"))


def _require_psycopg() -> None:
    if find_spec("psycopg") is None:
        msg = "PostgreSQL needs psycopg, which is not installed — pip install 'muniment[postgres]'"
        raise StorageError(msg)


def open_vault(config: Config, origin: str) -> SqliteVault | PostgresVault:
    """Open the vault alone; the keys are in a file, wherever the values are."""
    url = config["vault"] or ""
    if _is_postgres(url):
        _require_psycopg()
        from muniment.adapters.vault.postgres import PostgresVault  # noqa: PLC0415

        return PostgresVault.at(url, config.path("key_file", "master.key"), origin)
    from muniment.adapters.vault.sqlite import SqliteVault  # noqa: PLC0415

    folder = _local(config, "vault", "")
    return SqliteVault.at(folder, config.path("key_file", "master.key"), origin)


def open_cache(config: Config) -> BlobCache:
    """Open the cache alone."""
    from muniment.adapters.blobs.cache import BlobCache  # noqa: PLC0415

    return BlobCache(config.path("cache_dir", "cache") / "blobs", config.cache_max)


def _home(config: Config) -> Path:
    """Return the home folder, made for its owner alone if it is not there."""
    home = config.home
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        msg = f"the home folder cannot be made ({error.strerror}) — set MUNIMENT_HOME to a folder that can be written"
        raise StorageError(msg) from error
    if not os.access(home, os.R_OK | os.W_OK | os.X_OK):
        msg = "the home folder cannot be written — set MUNIMENT_HOME to a folder that can be, or ask its owner"
        raise StorageError(msg)
    return home


def _local(config: Config, name: str, default: str) -> Path:
    """Return a path below the home folder, or where the settings say; other kinds of places are not known yet."""
    value = config[name]
    if value is None or "://" not in value:
        if value is not None and SCHEME_ALONE.match(value):
            msg = f"MUNIMENT_{name.upper()}={value!r} is neither a URL nor plainly a path — give {KINDS[name]}"
            raise InvalidValueError(msg)
        return config.path(name, default)
    parts = urlsplit(value)
    if parts.scheme != "file":
        msg = f"MUNIMENT_{name.upper()} names {parts.scheme}://, which cannot be used for it — give {KINDS[name]}"
        raise InvalidValueError(msg)
    if parts.netloc not in {"", "localhost"} or not parts.path.startswith("/"):
        msg = f"MUNIMENT_{name.upper()} names another machine, {parts.netloc!r} — write file:///path, or give a path"
        raise InvalidValueError(msg)
    return Path(unquote(parts.path))


def _folder(config: Config, name: str, default: str) -> Path:
    folder = _local(config, name, default)
    _make_folder(name, folder)
    return folder


def _make_folder(name: str, folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        msg = f"the folder of the {name} cannot be made at {folder} ({error.strerror}) — check MUNIMENT_{name.upper()}"
        raise StorageError(msg) from error
