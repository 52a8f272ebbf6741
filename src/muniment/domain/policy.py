"""A retention policy: how long what is in its scope is kept at least and at most, counted from when, and by whose rule.

The floors are those of Regulation (EU) 2024/1689 (AI Act): logs at least six months, documentation ten years.
"""

from __future__ import annotations

import enum
from typing import ClassVar, Final, TypeAlias, assert_never

from attrs import frozen

from muniment.domain.decider import Decider, Event
from muniment.domain.errors import InvalidValueError, NotFoundError
from muniment.domain.hold import ScopeKind
from muniment.domain.values import LONGEST_TTL, Audit, Erased, Micros, Words

DAY: Final[Micros] = 24 * 3600 * 1_000_000
SIX_MONTHS: Final[Micros] = 184 * DAY
TEN_YEARS: Final[Micros] = 3653 * DAY
FLOORS: Final[tuple[tuple[str, Micros], ...]] = (
    ("AI Act Art. 12", SIX_MONTHS),
    ("AI Act Art. 18", TEN_YEARS),
    ("AI Act Art. 19", SIX_MONTHS),
    ("AI Act Art. 26(6)", SIX_MONTHS),
)
"""Citations with the shortest minimum that they allow: the longest six months, the longest ten years."""
SCOPES: Final = frozenset(ScopeKind) - {ScopeKind.SUBJECT, ScopeKind.TAG, ScopeKind.REGISTRY}


class Start(enum.Enum):
    """When the period of a policy begins."""

    CREATED = "created"
    LAST_USED = "last-used"
    UNLINKED = "unlinked"
    SUPERSEDED = "superseded"


class Ending(enum.Enum):
    """What happens when the longest period is over."""

    DELETE = "delete"
    REVIEW = "review"


@frozen
class Terms:
    """What a policy says: periods in microseconds, ``None`` for none; the newest *keep_last* versions never expire."""

    start: Start = Start.CREATED
    minimum: Micros | None = None
    maximum: Micros | None = None
    ending: Ending = Ending.DELETE
    keep_last: int | None = None

    def __attrs_post_init__(self) -> None:
        for name, period in (("minimum", self.minimum), ("maximum", self.maximum)):
            if period is not None and not 0 < period <= LONGEST_TTL:
                msg = f"the {name} must be longer than nothing and at most a thousand years"
                raise InvalidValueError(msg)
        if self.minimum is not None and self.maximum is not None and self.maximum < self.minimum:
            msg = "the maximum is shorter than the minimum — a version would have to go before it may"
            raise InvalidValueError(msg)
        if self.keep_last is not None and self.keep_last < 1:
            msg = "to keep the last versions, say how many: at least 1"
            raise InvalidValueError(msg)
        if (self.minimum, self.maximum, self.keep_last) == (None, None, None):
            msg = "the policy says nothing — give it a minimum, a maximum, or how many of the last versions to keep"
            raise InvalidValueError(msg)

    def shortens(self, before: Terms) -> bool:
        """Whether something may be removed earlier by these terms than by those *before*."""
        return (
            (before.minimum is not None and (self.minimum or 0) < before.minimum)
            or (self.maximum is not None and (before.maximum is None or self.maximum < before.maximum))
            or (before.keep_last is not None and (self.keep_last or 0) < before.keep_last)
            or self.start is not before.start
            or (before.ending is Ending.REVIEW and self.ending is Ending.DELETE)
        )


@frozen
class PolicySet(Event):
    """What is in the scope is kept by these terms from now on, because a law says so if they are *statutory*."""

    audit: ClassVar[Audit] = Audit.GOVERNANCE
    scope: ScopeKind
    target: str
    terms: Terms
    statutory: bool = False
    type: Words[str] | None = None
    citation: Words[str] | None = None


@frozen
class PolicyRemoved(Event):
    """The policy counts no more."""

    audit: ClassVar[Audit] = Audit.GOVERNANCE


PolicyEvent: TypeAlias = PolicySet | PolicyRemoved


@frozen
class Policy:
    """What decisions about a policy need to know."""

    terms: Terms | None = None
    scope: ScopeKind | None = None
    target: str = ""
    type: str | Erased | None = None
    citation: str | Erased | None = None
    removed: bool = False


def set_policy(policy: Policy, wanted: PolicySet) -> list[PolicyEvent]:
    """Set the terms of a policy; its scope stays what it was. That shortening takes two people the caller checks."""
    if wanted.scope not in SCOPES:
        msg = f"a policy cannot be set on a {wanted.scope.value} — take {', '.join(sorted(s.value for s in SCOPES))}"
        raise InvalidValueError(msg)
    if (wanted.scope is ScopeKind.TYPE) != (wanted.type is not None):
        msg = "a policy for a type names the type, and no other does"
        raise InvalidValueError(msg)
    if wanted.statutory != (wanted.citation is not None):
        msg = "a statutory policy cites the law that it follows, and no other does"
        raise InvalidValueError(msg)
    _require_floor(wanted)
    if policy.scope is not None and (policy.scope, policy.target, policy.type) != _scope(wanted):
        msg = "the scope of a policy cannot be changed — remove it and set another"
        raise InvalidValueError(msg)
    same = not policy.removed and (policy.terms, policy.citation) == (wanted.terms, wanted.citation)
    return [] if same else [wanted]


def remove_policy(policy: Policy) -> list[PolicyEvent]:
    """Let the policy count no more. That giving up a minimum takes two people the caller checks."""
    if policy.terms is None:
        msg = "there is no such policy — see: muniment retention list"
        raise NotFoundError(msg)
    return [] if policy.removed else [PolicyRemoved()]


def needs_approval(policy: Policy, wanted: Terms | None) -> bool:
    """Whether changing a policy to *wanted* (``None``: removing it) lets something go earlier."""
    if policy.terms is None or policy.removed:
        return False
    if wanted is None:
        return policy.terms.minimum is not None or policy.terms.keep_last is not None
    return wanted.shortens(policy.terms)


def _scope(wanted: PolicySet) -> tuple[ScopeKind, str, str | Erased | None]:
    return wanted.scope, wanted.target, wanted.type


def _require_floor(wanted: PolicySet) -> None:
    cited = wanted.citation if isinstance(wanted.citation, str) else ""
    for article, floor in FLOORS:
        following = cited[len(article) : len(article) + 1]
        if cited.startswith(article) and not following.isdigit() and (wanted.terms.minimum or 0) < floor:
            msg = f"{article} asks for a minimum of {floor // DAY} days — set at least that"
            raise InvalidValueError(msg)


def evolve(policy: Policy, event: PolicyEvent) -> Policy:
    """Return the policy after *event*."""
    match event:
        case PolicySet(scope=scope, target=target, terms=terms, type=type_, citation=citation):
            return Policy(terms, scope, target, type_, citation)
        case PolicyRemoved():
            return Policy(policy.terms, policy.scope, policy.target, policy.type, policy.citation, removed=True)
        case _:
            assert_never(event)


POLICY: Decider[Policy, PolicyEvent] = Decider("policy", Policy(), evolve)
