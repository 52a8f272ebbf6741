"""Which tags a thing has: those that are wanted are put on it, the others taken off, unless a hold names them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TypeVar

from muniment.app import holds
from muniment.app.transact import Steps, new_id
from muniment.domain.decider import Decider
from muniment.domain.rows import TagRow

S = TypeVar("S")
E = TypeVar("E")


def retag(
    steps: Steps,
    decider: Decider[S, E],
    owner: str,
    wanted: Collection[str],
    on: Callable[[S, str, str], Sequence[E]],
    off: Callable[[S, str], Sequence[E]],
) -> None:
    """Let a thing have these tags and no others, by the decisions that put one *on* and take one *off*."""
    there = {row.tag: row.tag_id for row in steps.views.select(TagRow, owner_id=owner, order="tag")}
    for tag in sorted(set(wanted) - there.keys()):
        steps.step(decider, owner, on, new_id(), tag)
    for known, tag_id in there.items():
        if known not in wanted:
            holds.refuse_untagging(steps.views, known)
            steps.step(decider, owner, off, tag_id)
