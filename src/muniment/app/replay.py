"""Replay: the store as it was at a moment, built again from the events up to then, to be read and not written."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from attrs import asdict, evolve, field, frozen

from muniment.app.config import Config, without_secrets
from muniment.app.directory import LOGIN
from muniment.app.migrate import Movable
from muniment.domain.errors import CorruptError, InvalidValueError, NotFoundError, ReadOnlyError, StorageError
from muniment.domain.ports import Context, Ledger, Vault
from muniment.domain.redaction import EventsRedacted, redactions_stream
from muniment.domain.rows import OrganisationRow
from muniment.domain.values import Micros, OrganisationId, PrincipalId

MARKER: Final = "replay.json"
FORMAT: Final = 1
SHARED: Final = ("vault", "blobs", "key_file")
"""What a replay reads where the store has it: settings of these names stand in its ``config.toml``."""

REFUSED: Final = (
    "this store is a replay and only read — act on the store that it was made from; name that one in MUNIMENT_HOME"
)
NOBODY: Final = PrincipalId("0" * 32)


@frozen
class Replay:
    """Which store a folder shows, and as of when: after event *seq*, where the tree over the leaves had this *root*."""

    origin: str
    seq: int
    root: str
    recorded_at: Micros
    format: int = field(default=FORMAT)
    redacted: Sequence[int] = ()
    """The events that lost their words later: no event up to then says so."""


def build(source: Movable, config: Config, seq: int, folder: Path, open_target: Callable[[Path], Movable]) -> Replay:
    """Make *folder* a store that shows *source* as it was after event *seq*: all of it, or no folder.

    Events, blinds and leaves are the stored bytes and come to the same root; the rows are folded from them and
    compared with those that held then. Blobs and personal values stay where they are. InvalidValueError if there is
    something in the folder already.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        msg = f"{str(folder)!r} is there already — name a folder that is new or empty"
        raise InvalidValueError(msg)
    made = folder.with_name(f".{folder.name}.half")
    try:
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir(mode=0o700, parents=True)
        found = _carried(source, open_target(made), seq)
        for name, text in (("config.toml", _settings(config)), (MARKER, json.dumps(asdict(found), indent=1) + "\n")):
            (made / name).touch(mode=0o600)
            (made / name).write_text(text, "utf-8")
        made.rename(folder)
    except OSError as error:
        msg = f"the replay cannot be written ({error.strerror}) — name a folder where there is room and leave"
        raise StorageError(msg) from error
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return found


def _carried(source: Movable, target: Movable, seq: int) -> Replay:
    try:
        with source.cargo() as cargo:
            target.adopt(cargo.until(seq))
        head = target.head()
    finally:
        target.close()
    if (head.size, head.root) != (seq, source.root(seq)):
        msg = "the replay did not come to the root of its store — run `muniment fsck` there"
        raise CorruptError(msg)
    return Replay(source.origin, head.size, head.root.hex(), head.recorded_at, redacted=redacted_after(source, seq))


def redacted_after(ledger: Ledger, seq: int) -> tuple[int, ...]:
    """Return the events up to *seq* whose words were redacted after it."""
    organisations = ledger.views.select(OrganisationRow, order="name")
    streams = [redactions_stream(OrganisationId(row.organisation_id)) for row in organisations]
    later = (recorded.event for stream in streams for recorded in ledger.read(after=seq, stream=stream))
    named = (each for event in later if isinstance(event, EventsRedacted) for each in event.seqs)
    return tuple(sorted(each for each in named if each <= seq))


def _settings(config: Config) -> str:
    """Return what says where the store's other parts are; no password is written down."""
    places = {
        "vault": config["vault"] or str(config.home),
        "blobs": config["blobs"] or str(config.home / "blobs"),
        "key_file": str(config.path("key_file", "master.key")),
    }
    lines = [f"{name} = {json.dumps(_absolute(places[name]))}" for name in SHARED]
    return "\n".join(["# where this replay reads what it does not hold; MUNIMENT_… variables come first", *lines, ""])


def _absolute(place: str) -> str:
    return without_secrets(place).replace(":***@", "@") if "://" in place else str(Path(place).expanduser().absolute())


def found_in(home: Path) -> Replay | None:
    """Return what a folder replays; ``None`` if it is an ordinary store."""
    try:
        said = json.loads((home / MARKER).read_text("utf-8"))
        if said["format"] != FORMAT:
            msg = f"{MARKER} was written by a newer version — update Muniment"
            raise StorageError(msg)
        return Replay(**said)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        msg = f"{MARKER} cannot be read — make the replay again"
        raise StorageError(msg) from error


def require_none(home: Path) -> None:
    """Refuse in a replay what has to be recorded."""
    if (home / MARKER).exists():
        raise ReadOnlyError(REFUSED)


def settings_of(config: Config) -> Config:
    """Return the settings of a replay: its ledger is its own; places of this machine that it needs must be there."""
    for name in SHARED:
        place = config[name] or ""
        if "://" not in place and not Path(place).exists():
            msg = f"this replay needs the {name.replace('_', ' ')} of its store — name it in MUNIMENT_{name.upper()}"
            raise NotFoundError(msg)
    return evolve(config, values={**config.values, "ledger": None})


def look(ledger: Ledger, vault: Vault, config: Config, source: str, found: Replay) -> Context:
    """Return who looks: somebody known by then, or nobody; nothing is recorded.

    CorruptError if the ledger is not the one that was made.
    """
    head = ledger.head()
    if (ledger.origin, head.size, head.root.hex()) != (found.origin, found.seq, found.root):
        msg = f"the ledger of this replay is not what {MARKER} says — make the replay again"
        raise CorruptError(msg)
    named = ledger.views.find(OrganisationRow, name=config.text("organisation"))
    rows = [named] if named else ledger.views.select(OrganisationRow, order="name", limit=1)
    known = vault.find(LOGIN, config.actor)
    home = rows[0].organisation_id if rows else OrganisationId(NOBODY)
    return Context(home, PrincipalId(known) if known else NOBODY, source)
