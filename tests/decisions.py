"""Sequences of decisions, for Hypothesis: what is refused changes nothing, what is decided happens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from attrs import frozen
from hypothesis import strategies as st

from muniment.domain.decider import Decider
from muniment.domain.errors import MunimentError

S = TypeVar("S")


@frozen
class Act:
    """A decision with its arguments; only the state is missing."""

    decision: Callable[..., Sequence[Any]]
    arguments: tuple[Any, ...]
    named: dict[str, Any]

    def __call__(self, state: object) -> Sequence[Any]:
        return self.decision(state, *self.arguments, **self.named)


def act(
    decision: Callable[..., Sequence[Any]], *arguments: st.SearchStrategy[Any], **named: st.SearchStrategy[Any]
) -> st.SearchStrategy[Act]:
    """Return a strategy for a decision with any of these arguments."""
    return st.builds(Act, st.just(decision), st.tuples(*arguments), st.fixed_dictionaries(named))


def attempt(state: object, wanted: Callable[..., Sequence[Any]]) -> list[Any]:
    """Return what is decided, nothing if it is refused."""
    try:
        return list(wanted(state))
    except MunimentError:
        return []


def happen(decider: Decider[S, Any], state: S, events: Sequence[Any]) -> S:
    """Return the state after these events."""
    for event in events:
        state = decider.evolve(state, event)
    return state
