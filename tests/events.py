"""Any event that there can be, for Hypothesis, and which stream each event class belongs to."""

from __future__ import annotations

import enum
import types
from collections.abc import Mapping
from typing import Annotated, Any, Final, NewType, Union, get_args, get_origin, get_type_hints

import attrs
from hypothesis import strategies as st

from muniment.adapters.ledger.codec import WIRE_NAMES
from muniment.domain import (
    alias,
    approval,
    artifact,
    collection,
    data_subject,
    disposal,
    hold,
    organisation,
    policy,
    principal,
    processing,
    project,
    redaction,
    registry,
    report,
    request,
    run,
    team,
    version,
)
from muniment.domain.decider import Decider, Event
from muniment.domain.evidence import Check, Evidence, Method
from muniment.domain.values import (
    ERASED,
    INHERIT,
    LONGEST_TTL,
    NEVER,
    WORDS,
    Digest,
    Erased,
    Personal,
    SlotId,
    Ttl,
    TtlRule,
)

CLASSES: Final = tuple(sorted(WIRE_NAMES.values(), key=lambda class_: class_.__name__))
AGGREGATES: Final = (
    artifact,
    version,
    alias,
    collection,
    registry,
    report,
    run,
    team,
    project,
    organisation,
    principal,
    approval,
    hold,
    data_subject,
    request,
    policy,
    processing,
    redaction,
    disposal,
)

TEXT: Final = st.text(st.characters(codec="utf-8"), max_size=12)
IDS: Final = st.text("0123456789abcdef", min_size=32, max_size=32)
DIGESTS: Final = IDS.map(lambda text: f"d1{text[2:]}{text}")
COMMITS: Final = IDS.map(lambda text: f"c0{text[2:]}{text}")
TTLS: Final = st.sampled_from([INHERIT, NEVER]) | st.integers(1, LONGEST_TTL).map(Ttl.after)
TERMS: Final = st.builds(
    policy.Terms,
    start=st.sampled_from(policy.Start),
    minimum=st.none() | st.integers(1, 9),
    maximum=st.none() | st.integers(9, LONGEST_TTL),
    ending=st.sampled_from(policy.Ending),
    keep_last=st.integers(1, 9),
)
EVIDENCE: Final = st.builds(
    Evidence,
    disposal_id=IDS,
    method=st.sampled_from(Method),
    verified_by=st.lists(st.sampled_from(Check), max_size=3).map(tuple),
    blobs=st.integers(0, 9),
    size=st.integers(0, 9),
    copies=st.integers(0, 9),
    residual=st.integers(0, 9),
)
PERSONAL: Final[st.SearchStrategy[Any]] = st.builds(Personal, IDS.map(SlotId), COMMITS)
PLAIN: Final[Mapping[object, st.SearchStrategy[Any]]] = {
    Digest: DIGESTS,
    Ttl: TTLS,
    policy.Terms: TERMS,
    Evidence: EVIDENCE,
    bool: st.booleans(),
    int: st.integers(-(2**53) + 1, 2**53 - 1),
    str: IDS,
    types.NoneType: st.none(),
}


def tier(annotation: object) -> str:
    """Return how a field of this type can be forgotten: ``facts`` (never), ``words`` or ``personal``."""
    parts = {annotation, get_origin(annotation), *get_args(annotation)}
    parts |= {get_origin(part) for part in parts} | {word for part in parts for word in get_args(part)}
    if WORDS in parts:
        return "words"
    return "personal" if Personal in parts else "facts"


def fields(class_: type) -> dict[str, Any]:
    """Return the fields of an event class with their types."""
    hints = get_type_hints(class_, include_extras=True)
    return {each.name: hints[each.name] for each in attrs.fields(class_)}


def words_of(class_: type) -> list[str]:
    """Return the fields of an event class that are words."""
    return [name for name, annotation in fields(class_).items() if tier(annotation) == "words"]


def values(annotation: Any, words: st.SearchStrategy[str] = TEXT) -> st.SearchStrategy[Any]:
    """Return a strategy for any value of a type; texts that are words come from *words*."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if annotation in PLAIN:
        return PLAIN[annotation]
    if origin is Annotated:
        return _texts(inner[0], words)
    if origin in {Union, types.UnionType}:
        return st.one_of(*(values(each, words) for each in inner))
    if origin is Personal:
        return PERSONAL
    if origin is tuple:
        return st.lists(values(inner[0], words), max_size=3).map(tuple)
    if isinstance(annotation, NewType):
        return IDS
    assert issubclass(annotation, enum.Enum), annotation
    return st.sampled_from(list(annotation))


def _texts(annotation: Any, words: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    plain = next(each for each in get_args(annotation) if each is not Erased)
    if plain is Digest:
        return DIGESTS
    return words if plain is str else st.lists(words, max_size=3).map(tuple)


def events(*classes: type, words: st.SearchStrategy[str] = TEXT) -> st.SearchStrategy[Any]:
    """Return a strategy for any event of these classes."""
    return st.one_of(
        *(
            st.builds(class_, **{name: values(each, words) for name, each in fields(class_).items()})
            for class_ in classes
        )
    )


def erased(event: Any) -> Any:
    """Return the event as it reads once its words were redacted."""
    return attrs.evolve(event, **dict.fromkeys(words_of(type(event)), ERASED))


def deciders() -> dict[str, tuple[Decider[Any, Any], tuple[type, ...]]]:
    """Return every decider of the domain by its name, with the classes of its events."""
    found: dict[str, tuple[Decider[Any, Any], tuple[type, ...]]] = {}
    for module in AGGREGATES:
        for decider in vars(module).values():
            if isinstance(decider, Decider):
                event = get_type_hints(decider.evolve)["event"]
                found[decider.name] = decider, get_args(event) or (event,)
    return found


def is_sound(ttl: Ttl) -> bool:
    """Whether a TTL has a duration exactly when its rule asks for one."""
    return (ttl.micros is not None) == (ttl.rule is TtlRule.AFTER)


assert all(issubclass(class_, Event) for class_ in CLASSES)
