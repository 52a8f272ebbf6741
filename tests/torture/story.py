"""What a process does to a store until it is killed: it logs, links, deletes, erases, collects and migrates by a seed.

Before each act it says what it is about to do, after it that this was acknowledged; both are on the disk before it
goes on.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from attrs import evolve, frozen

import muniment as wandb
from muniment.app import (
    approvals,
    bootstrap,
    catalog,
    clock,
    config,
    directory,
    lifecycle,
    link_artifact,
    migrate,
    names,
)
from muniment.app.catalog import Found
from muniment.app.collecting import collect
from muniment.app.erasing import certificate, checking, data_subjects, requests
from muniment.app.erasing.executing import Eraser
from muniment.app.sdk import session
from muniment.app.store import Store
from muniment.domain.approval import Act as Approved
from muniment.domain.data_subject import TargetKind
from muniment.domain.request import Right, Verdict
from muniment.domain.rows import LinkRow, VersionRow
from muniment.domain.values import Role
from muniment.domain.version import State
from tests.torture.points import Points

Act: TypeAlias = Literal["open", "log", "link", "delete", "erase", "gc", "migrate"]
PROJECT: Final = "torture"
ARTIFACTS: Final = ("data", "net")
REGISTRY: Final = "model"
SECOND: Final = "ben"
MANY: Final = 2
POINTS: Final[dict[Act, int]] = {
    "open": 200,
    "log": 700,
    "link": 100,
    "delete": 50,
    "erase": 1300,
    "gc": 300,
    "migrate": 900,
}
"""The acts, and about how many points each has; who is killed later is killed in the middle of another."""
AGES: Final = 2 * 3600 * 1_000_000
"""How much later, in microseconds, each life of a process is: longer than a lease lasts."""


@frozen
class Life:
    """One process: its place in the order of lives, its seed, and the point of an act at which it is killed.

    With *postgres*, the URL of a database, every second migration leads there and the next one back into a file.
    """

    home: Path
    number: int
    seed: str
    aim: Act
    fatal: int
    postgres: str | None = None

    @property
    def diary(self) -> Path:
        """The file in which all lives of this store say what they do."""
        return self.home.with_suffix(".diary")


@frozen
class Said:
    """A line of the diary: what an act is, what it is about, and whether it was acknowledged."""

    life: int
    act: str
    about: str
    done: bool


def read(diary: Path) -> list[Said]:
    """Return what was said, in order; a line that was cut off was not said."""
    lines = diary.read_text("utf-8").splitlines(keepends=True) if diary.exists() else []
    return [Said(**json.loads(line)) for line in lines if line.endswith("\n")]


def contents(number: int) -> dict[str, bytes]:
    """Return the files of the version that is logged under this number: few, many small ones, or a large one."""
    chance = random.Random(number)
    files = {"shared.txt": b"the same in every version\n", "number.txt": b"%d\n" % number}
    match number % 3:
        case 0:
            files |= {f"part-{part:02}.bin": chance.randbytes(600) for part in range(18)}
        case 1:
            files["large.bin"] = chance.randbytes(300 << 10)
        case _:
            files["empty"] = b""
    return files


def settle(life: Life) -> None:
    """Let this process work on the life's store, at the life's time."""
    now, later = clock.now, life.number * AGES
    setattr(clock, "now", lambda: now() + later)  # noqa: B010 (a function of a module)
    os.environ.update(MUNIMENT_HOME=str(life.home), MUNIMENT_SILENT="true", MUNIMENT_GRACE="0", MUNIMENT_ACTOR="ada")
    moved = [each.about for each in read(life.diary) if each.act == "migrate" and each.done]
    if moved:
        os.environ["MUNIMENT_LEDGER"] = moved[-1]


def live(life: Life) -> None:
    """Act without end; a point is fatal."""
    settle(life)
    chance = random.Random(life.seed)
    diary = os.open(life.diary, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    teller = _Teller(life, diary, Points(life.fatal))
    for turn, act in enumerate(_acts(life.aim, chance)):
        _do(act, life.number * 1000 + turn, teller, chance)


def _acts(aim: Act, chance: random.Random) -> Iterator[Act]:
    yield "open"
    yield "log"
    yield aim
    while True:
        yield chance.choice(("log", *POINTS))


@frozen
class _Teller:
    """Writes the diary; from the first time on that it tells of the act that is aimed at, the points count."""

    life: Life
    file: int
    points: Points

    def say(self, act: str, about: str, *, done: bool = False) -> None:
        line = {"life": self.life.number, "act": act, "about": about, "done": done}
        os.write(self.file, f"{json.dumps(line)}\n".encode())
        os.fsync(self.file)
        if act == self.life.aim:
            self.points.arm()


def _do(act: Act, number: int, teller: _Teller, chance: random.Random) -> None:
    match act:
        case "open":
            teller.say(act, "")
            session.close()
            directory.create_project(session.store(), "local", PROJECT)
            teller.say(act, "", done=True)
        case "log":
            teller.say(act, str(number))
            _log(number)
            teller.say(act, str(number), done=True)
        case "link" | "delete":
            store = session.store()
            found = _free(store, chance)
            if found is None:
                return
            teller.say(act, found.version.version_id)
            if act == "link":
                _link(store, found)
            else:
                lifecycle.delete(store, found, delete_aliases=True)
            teller.say(act, found.version.version_id, done=True)
        case "erase":
            _erase_one(number, teller, chance)
        case "gc":
            teller.say(act, "")
            report = collect.act(session.store())
            assert not report.failed, report.failed
            teller.say(act, "", done=True)
        case "migrate":
            place = _next_place(teller.life, number)
            teller.say(act, place)
            carry(session.config(), place)
            os.environ["MUNIMENT_LEDGER"] = place
            teller.say(act, place, done=True)


def _next_place(life: Life, number: int) -> str:
    if life.postgres is None or "://" in (session.config()["ledger"] or ""):
        return str(life.home / f"ledger-{number}.sqlite3")
    return f"{life.postgres}&schema=t{sha256(f'{life.home} {number}'.encode()).hexdigest()[:24]}"


def _log(number: int) -> None:
    with wandb.init(project=PROJECT, id=f"run-{number}", config={"number": number}) as run:
        artifact = wandb.Artifact(ARTIFACTS[number % 2], type="model", metadata={"number": number})
        for path, content in contents(number).items():
            with artifact.new_file(path, mode="wb") as file:
                file.write(content)
        run.log_artifact(artifact, aliases=["best"], tags=[f"t{number}"]).wait()
        run.log({"number": number})


def carry(settings: config.Config, place: str) -> migrate.Moved:
    """Carry the ledger to another file."""
    there = bootstrap.at_place(settings, "ledger", place, there=False)
    with closing(bootstrap.open_ledger(settings)) as old, closing(bootstrap.open_ledger(there)) as new:
        return migrate.ledger(old, new)


def versions(store: Store, state: State | None = State.COMMITTED) -> list[VersionRow]:
    """Return the versions in a state, or all, of all artifacts."""
    states = State if state is None else (state,)
    return [
        row
        for each in states
        for row in store.views.select(VersionRow, state=each.value, order="created_at", limit=10_000)
    ]


def links(store: Store, version: VersionRow) -> tuple[LinkRow, ...]:
    """Return the live links to a version."""
    return tuple(store.views.select(LinkRow, version_id=version.version_id, order="link_id"))


def _free(store: Store, chance: random.Random) -> Found | None:
    """Return some live version that is not linked."""
    free = [row for row in versions(store) if not links(store, row)]
    return catalog.origin(store.views, chance.choice(free).version_id) if free else None


def _erase_one(number: int, teller: _Teller, chance: random.Random) -> None:
    """Erase whom a version is about; another one is left, which needs what is the same in all."""
    store = session.store()
    found = _free(store, chance)
    if found is None or found.version.metadata is None or len(versions(store)) < MANY:
        return
    logged = store.vault.get_many([found.version.metadata])[found.version.metadata]["number"]
    about = f"{found.version.version_id} {logged}"
    teller.say("erase", about)
    subject = data_subjects.register(store, f"person {number}").subject_id
    data_subjects.attach(store, subject, TargetKind.VERSION, found.version.version_id)
    request_id = requests.receive(store, Right.ERASURE, subject).request_id
    requests.identify(store, request_id, "seen")
    requests.scope(store, request_id)
    directory.set_organisation_role(store, "local", SECOND, Role.ADMIN)
    second = evolve(store, context=evolve(store.context, actor=directory.known_principal(store, SECOND)))
    approvals.approve(second, approvals.propose(store, Approved.ERASE, request_id))
    requests.decide(store, request_id, Verdict.APPROVED)
    finish(store, request_id)
    teller.say("erase", about, done=True)


def finish(store: Store, request_id: str) -> None:
    """Lead an erasure that was decided to its certificate."""
    Eraser(store, request_id).execute()
    found = checking.verify(store, request_id)
    assert not found.findings, found.findings
    certificate.issue(store, request_id)


def _link(store: Store, found: Found) -> None:
    where: Any = f"wandb-registry-{REGISTRY}/{found.artifact.name}"
    target = names.parse(where, entity="local", project=PROJECT, organisation="local")
    link_artifact.link(store, found, target, ["prod"])
