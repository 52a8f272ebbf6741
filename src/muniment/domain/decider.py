"""The shape of every aggregate: an initial state, and how each event changes it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import reduce
from typing import ClassVar, Generic, TypeVar

from attrs import frozen

from muniment.domain.values import Audit

S = TypeVar("S")
E = TypeVar("E")


@frozen
class Event:
    """A fact that happened; ``audit`` is its class, which decides how long it is kept."""

    audit: ClassVar[Audit] = Audit.CHANGE


@frozen
class Decider(Generic[S, E]):
    """What one kind of stream remembers.

    ``tail`` says how many of the last events are enough to know the state; ``None`` means all of them.
    """

    name: str
    initial: S
    evolve: Callable[[S, E], S]
    tail: int | None = None

    def fold(self, events: Iterable[E]) -> S:
        """Return the state after *events*, oldest first."""
        return reduce(self.evolve, events, self.initial)
