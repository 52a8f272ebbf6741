"""Given, when, then: how the tests of the aggregates read.

::

    alias = Spec(artifact.ALIAS)

    def test_an_alias_moves() -> None:
        alias.given(AliasMoved(A, None)).when(move_alias, to=B).then(AliasMoved(B, A))
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import pytest
from attrs import frozen

from muniment.domain.decider import Decider
from muniment.domain.errors import MunimentError

S = TypeVar("S")
E = TypeVar("E")


@frozen
class When(Generic[S, E]):
    """A decision about to be made in a state; nothing runs until it is told what should come of it."""

    decider: Decider[S, E]
    state: S
    decide: Callable[[], Sequence[E]]

    def then(self, *expected: E) -> S:
        """Expect exactly these events; return the state after them, for whoever wants to look closer."""
        decided = list(self.decide())
        assert decided == list(expected)
        state = self.state
        for event in decided:
            state = self.decider.evolve(state, event)
        return state

    def then_nothing(self) -> None:
        """Expect that there is nothing to do."""
        assert list(self.decide()) == []

    def then_raises(self, error: type[MunimentError], match: str | None = None) -> None:
        """Expect a refusal; *match* is a regular expression that its text must contain."""
        with pytest.raises(error, match=match) as caught:
            self.decide()
        assert caught.type is error, f"a {caught.type.__name__}, where exactly a {error.__name__} was expected"


@frozen
class Given(Generic[S, E]):
    """What happened so far in one stream."""

    decider: Decider[S, E]
    state: S

    def when(self, decision: Callable[..., Sequence[E]], *args: Any, **kwargs: Any) -> When[S, E]:
        """Ask for a decision, whose first argument is the state."""
        return When(self.decider, self.state, lambda: decision(self.state, *args, **kwargs))


@frozen
class Spec(Generic[S, E]):
    """The given/when/then of one decider."""

    decider: Decider[S, E]

    def given(self, *events: E) -> Given[S, E]:
        """Begin after *events*, oldest first."""
        return given(self.decider, *events)

    def when(self, decision: Callable[..., Sequence[E]], *args: Any, **kwargs: Any) -> When[S, E]:
        """Ask for a decision at the very beginning."""
        return self.given().when(decision, *args, **kwargs)


def given(decider: Decider[S, E], *events: E) -> Given[S, E]:
    """Begin with *events* in a stream of *decider*, oldest first."""
    return Given(decider, decider.fold(events))
