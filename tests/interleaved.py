"""Two who act on one store, one call after the other in an order that the test chooses; nobody sleeps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Condition, Thread
from typing import Any, Final

from attrs import define, field, frozen

SECONDS: Final = 60.0
"""After so long, somebody waits for ever."""
RUNNING, READY, BLOCKED, DONE = "running", "ready", "blocked", "done"
CALLS: Final = frozenset({"put_many", "read", "open", "sizes", "list", "delete_many", "copies"})


@define(eq=False)
class Stage:
    """Who is on it goes on only when told, to just before the next call to a store of objects."""

    broken: list[str] = field(factory=list)
    _changed: Condition = field(factory=Condition)
    _states: dict[str, str] = field(factory=dict)
    _threads: list[Thread] = field(factory=list)
    _errors: list[BaseException] = field(factory=list)
    _holder: str | None = None

    def enter(self, name: str, act: Callable[[], object]) -> None:
        """Let somebody wait before the beginning of an act."""

        def acting() -> None:
            try:
                self.gate(name)
                act()
            except BaseException as error:  # noqa: BLE001 (raised by play)
                self._errors.append(error)
            finally:
                self._become(name, DONE)

        self._states[name] = RUNNING
        self._threads.append(Thread(target=acting, daemon=True))
        self._threads[-1].start()
        self._until(name, RUNNING)

    def step(self, name: str) -> bool:
        """Let somebody make one call; false if it is over, or waits for its turn to delete."""
        with self._changed:
            if self._states[name] == BLOCKED and self._holder is None:
                self._until(name, BLOCKED)
            if self._states[name] != READY:
                return False
            self._become(name, RUNNING)
            self._until(name, RUNNING)
            return True

    def play(self, *steps: tuple[str, int]) -> None:
        """Let each make so many calls, then all to the end, first those that were named first."""
        for name, calls in steps:
            for _ in range(calls):
                self.step(name)
        while set(self._states.values()) != {DONE}:
            for name in self._states:
                while self.step(name):
                    pass
        for error in self._errors:
            raise error
        assert not self.broken

    def gate(self, name: str) -> None:
        """Wait until this one may go on."""
        with self._changed:
            self._become(name, READY)
            self._until(name, READY)

    @contextmanager
    def turn(self, name: str, inner: Any) -> Iterator[Any]:
        """Take a turn that only one at a time may have; whoever waits for it is known to wait."""
        with self._changed:
            if self._holder is not None:
                self._become(name, BLOCKED)
        with inner as taken:
            with self._changed:
                if self._holder is not None:
                    self.broken.append(f"{name} has a turn that {self._holder} has")
                self._holder = name
                if self._states[name] == BLOCKED:
                    self.gate(name)
            try:
                yield taken
            finally:
                self._holder = None

    def _become(self, name: str, state: str) -> None:
        with self._changed:
            self._states[name] = state
            self._changed.notify_all()

    def _until(self, name: str, state: str) -> None:
        """Wait until somebody is in another state than this one."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._states[name] != state, SECONDS), f"{name} stays {state}"


@frozen(eq=False)
class Gated:
    """A store of objects that somebody on a stage calls only when told."""

    inner: Any
    stage: Stage
    name: str

    def __getattr__(self, called: str) -> Any:
        found = getattr(self.inner, called)
        if called not in CALLS:
            return found

        def call(*arguments: Any) -> Any:
            self.stage.gate(self.name)
            done = found(*arguments)
            return done if isinstance(done, bytes | dict) or not hasattr(done, "__next__") else iter(list(done))

        return call


@frozen(eq=False)
class Shared:
    """A ledger whose turns to delete are seen by the stage."""

    inner: Any
    stage: Stage
    name: str

    def alone(self) -> Any:
        return self.stage.turn(self.name, self.inner.alone())

    def __getattr__(self, called: str) -> Any:
        return getattr(self.inner, called)
