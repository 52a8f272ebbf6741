"""Every event class belongs to one kind of stream, whose evolve accepts it, with and without its words."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st

from muniment.domain.decider import Decider
from tests.events import CLASSES, deciders, erased, events, fields, tier, words_of

DECIDERS = deciders()


def known(classes: tuple[type, ...]) -> st.SearchStrategy[Any]:
    return st.one_of(events(*classes), events(*classes).map(erased))


def test_every_event_class_belongs_to_exactly_one_decider() -> None:
    owned = sorted((class_.__name__ for _, classes in DECIDERS.values() for class_ in classes), key=str)
    assert owned == [class_.__name__ for class_ in CLASSES]


@pytest.mark.parametrize("class_", CLASSES, ids=lambda class_: class_.__name__)
def test_every_event_class_says_in_one_line_what_it_means(class_: type) -> None:
    assert class_.__doc__
    assert len(class_.__doc__.splitlines()) == 1


@pytest.mark.parametrize("name", sorted(DECIDERS))
def test_a_state_can_be_folded_from_any_events_with_or_without_their_words(name: str) -> None:
    decider, classes = DECIDERS[name]

    @given(st.lists(known(classes), max_size=8))
    def check(happened: list[Any]) -> None:
        state = decider.fold(happened)
        assert decider.fold(happened) == state
        assert type(state) is type(decider.initial)

    check()


@pytest.mark.parametrize("name", sorted(name for name, (decider, _) in DECIDERS.items() if decider.tail == 1))
def test_a_short_tail_is_enough_to_know_the_state(name: str) -> None:
    decider, classes = DECIDERS[name]

    @given(st.lists(known(classes), min_size=1, max_size=5))
    def check(happened: list[Any]) -> None:
        assert decider.fold(happened[-1:]) == decider.fold(happened)

    check()


def test_what_people_typed_and_content_digests_are_words_or_personal_never_facts() -> None:
    telling = ("name", "type", "alias", "tag", "tags", "key", "path", "store", "digest", "manifest", "types", "group")
    told = ("description", "metadata", "reason", "notes", "config", "summary", "login", "values")
    for class_ in CLASSES:
        for name, annotation in fields(class_).items():
            expected = "words" if name in telling else "personal" if name in told else None
            assert expected in {None, tier(annotation)}, f"{class_.__name__}.{name}"
    assert sum(len(words_of(class_)) for class_ in CLASSES) > 30


def test_a_decider_folds_from_its_initial_state() -> None:
    @frozen
    class Total:
        sum: int = 0

    adding: Decider[Total, int] = Decider("total", Total(), lambda total, each: Total(total.sum + each))
    assert adding.fold([]) == Total()
    assert adding.fold([1, 2]) == Total(3)
