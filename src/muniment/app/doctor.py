"""Looks whether a store can do its work here: each finding is a line with the way out."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sqlite3
import stat
import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from attrs import evolve, frozen

from muniment.app import clock, projector
from muniment.app.config import Config
from muniment.app.files.staging import leftovers
from muniment.app.places import probe
from muniment.app.reach import sites
from muniment.app.store import Store
from muniment.app.transact import new_id
from muniment.domain.errors import CorruptError, MunimentError
from muniment.domain.ports import SlotDraft, Transaction
from muniment.domain.rows import EVERY, Row
from muniment.domain.values import Micros

State: TypeAlias = Literal["ok", "warn", "fail"]

OLDEST_PYTHON: Final = (3, 11)
OLDEST_SQLITE: Final = (3, 37, 0)
FEW_BYTES: Final = 1 << 30
TOO_FEW_BYTES: Final = 64 << 20
SECOND: Final[Micros] = 1_000_000
CLOCK_MAY_LAG: Final[Micros] = 1 * SECOND
CLOCKS_MAY_DIFFER: Final[Micros] = 5 * SECOND
EXTRAS: Final = frozenset({"fsspec", "otel", "postgres", "s3"})
DOCTOR: Final = "doctor"
PROBE_LASTS: Final[Micros] = 60 * SECOND
OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO

_EXTRA = re.compile(r"extra == ['\"](\w+)['\"]")
_REQUIREMENT = re.compile(r"([\w.-]+)(?:\[[^\]]*\])?\s*((?:[=><!~]=?[\w.*]+,?)*)")


@frozen
class Finding:
    """What one check found: ``fail`` keeps the store from working, ``warn`` may; ``way_out`` says what to do."""

    check: str
    state: State
    text: str
    way_out: str | None = None


def examine(config: Config, open_store: Callable[[], Store]) -> Iterator[Finding]:
    """Yield a finding for each check; what needs an open store is left out where it cannot be opened."""
    yield from _versions()
    yield _home(config)
    yield from _space(config)
    try:
        store = open_store()
    except MunimentError as error:
        yield _failed("store", error)
        yield from _key_files(config)
        return
    yield from _key_files(config)
    for check, act in (("ledger", _ledger), ("schema", _schema), ("vault", _vault)):
        try:
            yield Finding(check, "ok", act(store))
        except MunimentError as error:
            yield _failed(check, error)
    yield from _blobs(store)
    yield from _projections(store)
    yield from _clock(store)
    yield _staging(store)


def _failed(check: str, error: MunimentError) -> Finding:
    text, _, way_out = str(error).partition(" — ")
    return Finding(check, "fail", text, way_out or None)


# --- this machine ----------------------------------------------------------------------------------------------------


def _versions() -> Iterator[Finding]:
    python = platform.python_version()
    if sys.version_info < OLDEST_PYTHON:
        yield Finding("python", "fail", f"Python {python} is too old", "use Python 3.11 or newer")
    else:
        yield Finding("python", "ok", f"Python {python}")
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        yield Finding("sqlite", "fail", f"SQLite {sqlite3.sqlite_version} is too old", "use a newer build of Python")
    else:
        yield Finding("sqlite", "ok", f"SQLite {sqlite3.sqlite_version}")
    yield from packages(metadata.version, _requirements())


def _requirements() -> list[str]:
    try:
        return metadata.requires("muniment") or []
    except metadata.PackageNotFoundError:
        return []


def packages(version: Callable[[str], str], requirements: list[str]) -> Iterator[Finding]:
    """Compare what is installed with what is required; of what an extra wants only what is there is told."""
    found = []
    wrong = False
    for line in requirements:
        required, _, marker = line.partition(";")
        matched = _REQUIREMENT.match(required.strip())
        if not matched or matched[1] == "muniment":
            continue
        extra = _EXTRA.search(marker)
        name, optional = matched[1], extra is not None
        try:
            installed = version(name)
        except metadata.PackageNotFoundError:
            if not optional:
                wrong = True
                yield Finding("packages", "fail", f"the package {name} is missing", "install muniment again")
            continue
        if not _fits(installed, matched[2]):
            wrong = True
            way_out = f"pip install '{name}{matched[2]}'"
            yield Finding("packages", "fail", f"{name} {installed} is not {matched[2]}", way_out)
        elif extra is None or extra[1] in EXTRAS:
            found.append(f"{name} {installed}")
    if not requirements:
        yield Finding(
            "packages", "warn", "Muniment itself is not installed, so nothing says what it needs", "install it"
        )
    elif not wrong:
        yield Finding("packages", "ok", ", ".join(found))


def _fits(installed: str, wanted: str) -> bool:
    for each in filter(None, wanted.split(",")):
        if each.startswith("==") and installed != each[2:]:
            return False
        if each.startswith(">=") and _numbers(installed) < _numbers(each[2:]):
            return False
    return True


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version.partition("+")[0])[:3])


def _home(config: Config) -> Finding:
    home = config.home
    try:
        found = home.stat()
    except FileNotFoundError:
        return Finding("home", "ok", f"{home} is not there yet and will be made")
    except OSError as error:
        return Finding("home", "fail", f"{home} cannot be looked at: {error.strerror}", "check its owner and mode")
    if not stat.S_ISDIR(found.st_mode):
        return Finding("home", "fail", f"{home} is no folder", "set MUNIMENT_HOME to one")
    if not os.access(home, os.R_OK | os.W_OK | os.X_OK):
        return Finding("home", "fail", f"{home} cannot be written", "set MUNIMENT_HOME, or ask its owner")
    if found.st_mode & OTHERS:
        return Finding("home", "warn", f"others can look into {home}", f"chmod 700 {home}")
    return Finding("home", "ok", f"{home} is its owner's alone")


def _key_files(config: Config) -> Iterator[Finding]:
    for name, path in (
        ("key file", config.path("key_file", "master.key")),
        ("signing key", config.path("signing_key", "signing.key")),
    ):
        try:
            mode = path.stat().st_mode
        except FileNotFoundError:
            yield Finding(name, "ok", "is not there yet and is made when it is needed")
        except OSError as error:
            yield Finding(name, "fail", f"cannot be looked at: {error.strerror}", "check its owner and mode")
        else:
            if mode & OTHERS:
                yield Finding(name, "fail", f"{path} can be used by others", f"chmod 600 {path}")
            else:
                yield Finding(name, "ok", "is its owner's alone — keep a copy elsewhere")


def _space(config: Config) -> Iterator[Finding]:
    """Look at every file system that a folder of ours lies on, once."""
    places = {"home": config.home}
    places |= {
        name: Path(value) for name in ("ledger", "vault", "blobs") if (value := config[name]) and "://" not in value
    }
    places |= {name: Path(value) for name in ("cache_dir", "data_dir") if (value := config[name])}
    seen: set[int] = set()
    for name, path in places.items():
        there = next(
            each for each in (path.expanduser().absolute(), *path.expanduser().absolute().parents) if each.exists()
        )
        if there.stat().st_dev in seen:
            continue
        seen.add(there.stat().st_dev)
        free = shutil.disk_usage(there).free
        text = f"{free / FEW_BYTES:.1f} GiB are free where {name} is"
        way_out = "free some, or `muniment gc` and `muniment cache cleanup`"
        state: State = "fail" if free < TOO_FEW_BYTES else "warn" if free < FEW_BYTES else "ok"
        yield Finding("space", state, text, None if state == "ok" else way_out)


# --- the store -------------------------------------------------------------------------------------------------------


def _ledger(store: Store) -> str:
    key = new_id()

    def write(transaction: Transaction) -> None:
        transaction.scratch.put(DOCTOR, key, None, transaction.now + PROBE_LASTS)

    def clean(transaction: Transaction) -> None:
        transaction.scratch.delete(DOCTOR, key)

    store.ledger.work(write)
    store.ledger.work(clean)
    return f"{store.ledger.engine().name} can be read and written, {store.ledger.head().size} events"


def _schema(store: Store) -> str:
    """Ask every table for rows that are not there: one that is missing says so. Their contents are for fsck."""
    for kind in EVERY:
        _ask(store, kind)
    return f"{len(EVERY)} tables of rows are there and can be read"


def _ask(store: Store, kind: type[Row]) -> None:
    lookup = kind.table.lookups[0] if kind.table.lookups else None
    equal: dict[str, Any] = dict.fromkeys(lookup.equal if lookup else kind.table.key, "")
    if lookup:
        store.views.select(kind, order=lookup.order, limit=1, **equal)
    else:
        store.views.find(kind, **equal)


def _vault(store: Store) -> str:
    """Put a value in, read it back, and destroy it with its key."""
    owner, value = f"{DOCTOR}-{new_id()}", new_id()
    try:
        (kept,) = store.vault.put_many([SlotDraft(owner, DOCTOR, value)])
        read = store.vault.get_many({kept.slot}).get(kept.slot)
    finally:
        store.vault.destroy(owner)
    if read != value:
        msg = "what was put into the vault did not come back — run `muniment fsck`"
        raise CorruptError(msg)
    return "can be read and written, and its key opens it"


def _blobs(store: Store) -> Iterator[Finding]:
    """Try every place in which blobs are kept."""
    try:
        places = [site for site in sites(store) if site.needed]
    except MunimentError as error:
        yield _failed("blobs", error)
        return
    for site in places:
        try:
            probe(site.blobs)
            yield Finding("blobs", "ok", site.named("can be put, read and deleted"))
        except MunimentError as error:
            failed = _failed("blobs", error)
            yield evolve(failed, text=site.named(failed.text))


def _projections(store: Store) -> Iterator[Finding]:
    try:
        found = projector.progress(store)
    except MunimentError as error:
        yield _failed("projections", error)
        return
    for each in found:
        text = f"{each.name} is {each.behind} events behind the ledger"
        if each.parked:
            text = f"{each.name} could not fold {len(each.parked)} events, the first is {each.parked[0].seq}"
            yield Finding("projections", "warn", text, "upgrade Muniment, then `muniment projections retry`")
        elif each.behind > projector.ON_DEMAND:
            yield Finding("projections", "warn", text, "`muniment projections run --once` catches up")
        else:
            yield Finding("projections", "ok", text)


def _clock(store: Store) -> Iterator[Finding]:
    last, now = store.ledger.head().recorded_at, store.clock()
    if last > now + CLOCK_MAY_LAG:
        text = f"the last event is of {clock.to_text(last)}, which is {(last - now) / SECOND:.0f} s from now"
        yield Finding("clock", "warn", text, "set the clock of this machine, or of the one that wrote it")
    else:
        yield Finding("clock", "ok", f"it is {clock.to_text(now)}, and no event is later")
    yield from _server_clock(store)


def _server_clock(store: Store) -> Iterator[Finding]:
    """Compare the clock of this machine with that of the ledger's server, which all machines share."""
    try:
        before, there, after = store.clock(), store.ledger.engine().now, store.clock()
    except MunimentError as error:
        yield _failed("clock", error)
        return
    if there is not None and not before - CLOCKS_MAY_DIFFER <= there <= after + CLOCKS_MAY_DIFFER:
        text = f"this machine is {(after - there) / SECOND:+.0f} s from the server of the ledger"
        yield Finding("clock", "warn", text, "set both by a time server: events bear the time of who writes")


def _staging(store: Store) -> Finding:
    try:
        count, size = leftovers(store)
    except (MunimentError, OSError) as error:
        return Finding("staging", "warn", f"cannot be looked through: {said(error)}", "check its owner and mode")
    if count:
        text = f"{count} folders with {size} bytes were left by processes that are gone"
        return Finding("staging", "warn", text, "`muniment gc --yes` removes them, and so does the next upload")
    return Finding("staging", "ok", "nothing was left behind")


def said(error: MunimentError | OSError) -> str:
    """Return an error's own words, without the path that the operating system puts there."""
    return str(error) if isinstance(error, MunimentError) else str(error.strerror)
