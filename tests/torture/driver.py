"""Lives and deaths: forks a process for each, and another one to look at what is left."""

from __future__ import annotations

import os
import random
import signal
import sys
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from attrs import evolve, frozen

from muniment.adapters import signing
from muniment.adapters.blobs import cache, local, packs
from muniment.adapters.ledger import postgres as postgres_ledger
from muniment.adapters.ledger import sqlite
from muniment.adapters.vault import sqlite as vault
from muniment.adapters.views import postgres as postgres_views
from muniment.adapters.views import sqlite as views
from muniment.app.sdk import artifact, starting
from tests.torture import check, story
from tests.torture.story import POINTS, Act, Life

WARM = (artifact, cache, local, packs, signing, sqlite, starting, vault, views, postgres_ledger, postgres_views)
"""What a process needs is loaded before it is forked, so that only what it does costs time."""
LIVES = 10
"""How many processes work on one store, one after the other."""


class FaultsFoundError(Exception):
    """A store is not as it should be after a kill."""


@frozen
class Result:
    """How many kills there were, and in the middle of what."""

    seed: int
    kills: int
    during: Counter[str]


def torture(
    folder: Path, seed: int, kills: int, told: Callable[[str], None] = lambda _: None, postgres: str | None = None
) -> Result:
    """Kill that many processes; FaultsFoundError if one of them left something that is wrong."""
    during: Counter[str] = Counter()
    for number in range(kills):
        life = _life(folder, seed, number, postgres)
        status = forked(lambda life=life: story.live(life))  # type: ignore[misc]
        during[_last_act(life)] += 1
        if status != -signal.SIGKILL or forked(lambda life=life: _look(life)):  # type: ignore[misc]
            said = story.read(life.diary)[-3:]
            msg = f"kill {number} of seed {seed}, at point {life.fatal} of {life.aim}, after {said}"
            raise FaultsFoundError(msg)
        told(f"{number + 1} of {kills}: point {life.fatal} of {life.aim}, {_last_act(life)}")
    return Result(seed, kills, during)


def _life(folder: Path, seed: int, number: int, postgres: str | None) -> Life:
    home = folder / f"home-{number // LIVES}"
    chance = random.Random(f"{seed} {number}")
    aim: Act = chance.choice(["log", *POINTS])  # which is the longest act
    return Life(home, number % LIVES, f"{seed} {number}", aim, chance.randrange(1, POINTS[aim]), postgres)


def _last_act(life: Life) -> str:
    said = [each for each in story.read(life.diary) if each.life == life.number]
    if not said:
        return "start"
    return f"after {said[-1].act}" if said[-1].done else said[-1].act


def _look(life: Life) -> None:
    found = check.check(evolve(life, number=life.number + 1))  # by then the leases of the dead have run out
    if found:
        raise FaultsFoundError("\n".join(found))


def forked(act: Callable[[], None]) -> int:
    """Act in a process of its own; return how it ended."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            act()
            status = 0
        except BaseException:  # noqa: BLE001 (said here, because the process ends here)
            traceback.print_exc(file=sys.__stderr__)
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
