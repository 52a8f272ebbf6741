"""How long a version is kept: one pure function over facts, rules, holds and requests, which also says why.

The order of precedence, first what wins: a hold (P0), a minimum that cites a law (P1), an approved erasure (P2), a
minimum of one's own (P3), a deletion that somebody asked for (P4), a link or protected alias, which suspends (P5),
the longest period of the narrowest scope (P6), nothing said (P7).
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import Final

from attrs import frozen

from muniment.domain.policy import Ending, Start, Terms
from muniment.domain.values import Micros, Ttl, TtlRule
from muniment.domain.version import State

BOUND: Final[Micros] = 7 * 24 * 3600 * 1_000_000
"""How long nothing may happen before a purge waits, because the clock may have jumped."""
SKEW: Final[Micros] = 10 * 60 * 1_000_000
"""How far the clocks of two machines may be apart without anybody's being wrong."""


class Action(enum.Enum):
    """What may be done with a version."""

    KEEP = "keep"
    REVIEW = "review"
    DELETE = "delete"
    ERASE = "erase"
    PURGE = "purge"


class Level(enum.IntEnum):
    """How narrow the scope of a rule is; the narrowest that says anything about the longest period decides."""

    VERSION = 0
    ARTIFACT = 1
    COLLECTION = 2
    TYPE = 3
    PROJECT = 4
    TEAM = 5
    ORGANISATION = 6


@frozen
class Rule:
    """One policy or TTL that applies to the version: *never* says that it does not expire, whatever wider rules say."""

    level: Level
    terms: Terms | None
    name: str
    citation: str | None = None
    never: bool = False


@frozen
class Facts:
    """All that is known about one version; times in microseconds since 1970, ``None`` where it did not happen.

    *newer* are the times at which later live versions of its artifact were made, oldest first. *protected_by* names
    the links and protected aliases that hold it, *protected_until* is when the last one ended. *orphaned* tells that
    its artifact or project was deleted, *personal* that it is about data subjects. *grace* is how long a deleted
    version can be restored, and a version whose protection ended still stays.
    """

    created_at: Micros
    state: State = State.COMMITTED
    last_used_at: Micros | None = None
    newer: tuple[Micros, ...] = ()
    protected_by: tuple[str, ...] = ()
    protected_until: Micros | None = None
    orphaned: bool = False
    personal: bool = False
    deleted_at: Micros | None = None
    grace: Micros = 0


@frozen
class Erasure:
    """An approved request that covers the version, and when it was approved."""

    request_id: str
    approved_at: Micros


@frozen
class Reason:
    """One step of a decision: which rule of precedence, and what it says."""

    rule: str
    text: str


@frozen
class Decision:
    """What may be done now and why, before when nothing may, and when *then* is due (``None``: never)."""

    action: Action
    not_before: Micros | None
    due_at: Micros | None
    because: tuple[Reason, ...]
    then: Action | None = None

    @property
    def why(self) -> str:
        """The reasons in one line."""
        return "; ".join(reason.text for reason in self.because)

    @property
    def removed_at(self) -> Micros | None:
        """When the version goes if nothing is done meanwhile; what is only to be reviewed does not."""
        return None if self.then is Action.REVIEW else self.due_at


def ttl_rule(level: Level, ttl: Ttl, name: str) -> Rule | None:
    """Return the rule that a TTL amounts to; ``None`` if it leaves the matter to wider scopes."""
    if ttl.rule is TtlRule.NEVER:
        return Rule(level, None, name, never=True)
    if ttl.rule is TtlRule.AFTER and ttl.micros is not None:
        return Rule(level, Terms(maximum=ttl.micros), name)
    return None


def decide(
    facts: Facts, rules: Iterable[Rule], holds: Iterable[str], requests: Iterable[Erasure], now: Micros
) -> Decision:
    """Return what may be done with a version at *now*; the order of rules, holds and requests makes no difference.

    *holds* are the ids of those in force for it.
    """
    if facts.state is State.PURGED:
        return Decision(Action.KEEP, None, None, (Reason("P7", "its bytes are gone already"),))
    if facts.state is State.LET_GO:
        return Decision(Action.KEEP, None, None, (Reason("P7", "it was let go, and its bytes are going"),))
    held = tuple(sorted(set(holds)))
    if held:
        reasons = tuple(Reason("P0", f"hold {hold} is in force") for hold in held)
        return Decision(Action.KEEP, None, None, reasons)
    ordered = sorted(set(rules), key=_order)
    cited = _floor(facts, [rule for rule in ordered if rule.citation is not None], "P1")
    own = _floor(facts, [rule for rule in ordered if rule.citation is None], "P3")
    if asked := sorted(set(requests), key=lambda request: (request.approved_at, request.request_id)):
        reason = Reason("P2", f"request {asked[0].request_id} to erase it was approved")
        return _when(Action.ERASE, asked[0].approved_at, (reason,), (cited,), now)
    floors = (cited, own)
    if facts.state is State.DELETED:
        since = facts.created_at if facts.deleted_at is None else facts.deleted_at
        reason = Reason("P4", "it was deleted, and the grace period decides")
        return _when(Action.PURGE, since + facts.grace, (reason,), floors, now)
    if facts.protected_by:
        text = f"it is held by {', '.join(sorted(set(facts.protected_by)))}, which suspends its expiry"
        return Decision(Action.KEEP, _latest(floors), None, (Reason("P5", text),))
    if facts.orphaned:
        reason = Reason("P4", "its artifact or project was deleted")
        return _when(Action.DELETE, now, (reason,), floors, now)
    return _expire(facts, ordered, floors, now)


def expiry(facts: Facts, rules: Iterable[Rule]) -> tuple[Micros | None, Rule | None]:
    """Return when a version expires if nothing suspends it or keeps it longer (``None``: never), and by which rule."""
    speaking = sorted((rule for rule in set(rules) if speaks(rule)), key=_order)
    narrowest = [rule for rule in speaking if rule.level == speaking[0].level]
    never = next((rule for rule in narrowest if rule.never), None)
    ends = [(end, rule) for rule in narrowest if (end := _end(facts, rule)) is not None]
    if not ends or (never is not None and len(narrowest) == 1):
        return None, never or (narrowest[0] if narrowest else None)
    return min(ends, key=lambda each: (each[0], _order(each[1])))


def speaks(rule: Rule) -> bool:
    """Whether a rule says anything about the longest period."""
    return rule.never or (rule.terms is not None and (rule.terms.maximum or rule.terms.keep_last) is not None)


def clock_jumped(last: Micros, now: Micros, bound: Micros = BOUND) -> str | None:
    """Return why what is due at *now* should wait for an approval; ``None`` if the clock looks sound.

    *last* is the latest time that the ledger knows. A clock behind it by more than clocks differ went backwards; one
    that is further ahead than *bound* may have jumped, or nothing happened for long.
    """
    if last - now > SKEW:
        return f"the clock is {(last - now) / 1_000_000:,.0f} s behind the last event"
    if now - last > bound:
        return f"the clock is {(now - last) / 86_400_000_000:,.1f} days ahead of the last event"
    return None


@frozen
class _Floor:
    """Until when a version must be kept, and why; without *until* the period has not begun, and so does not end."""

    until: Micros | None
    reason: Reason


def _floor(facts: Facts, rules: list[Rule], precedence: str) -> _Floor | None:
    floors = [
        _Floor(None if begins is None else begins + rule.terms.minimum, Reason(precedence, _keeps(rule)))
        for rule in rules
        if rule.terms is not None and rule.terms.minimum is not None
        for begins in [_begin(facts, rule.terms.start)]
        if begins is not None or rule.terms.start is not Start.UNLINKED or facts.protected_by
    ]
    open_ended = next((floor for floor in floors if floor.until is None), None)
    return open_ended or max(floors, key=lambda floor: floor.until or 0, default=None)


def _keeps(rule: Rule) -> str:
    cited = f" ({rule.citation})" if rule.citation else ""
    return f"{rule.name} keeps it for a minimum{cited}"


def _when(
    action: Action, due: Micros, reasons: tuple[Reason, ...], floors: tuple[_Floor | None, ...], now: Micros
) -> Decision:
    """Return *action* if it is due and no floor keeps the version longer."""
    for floor in floors:
        if floor is not None and floor.until is None:
            return Decision(Action.KEEP, None, None, (floor.reason, *reasons))
    until = _latest(floors)
    keeping = tuple(floor.reason for floor in floors if floor is not None and (floor.until or 0) > due)
    due = due if until is None else max(due, until)
    return Decision(action if due <= now else Action.KEEP, until, due, (*keeping, *reasons), action)


def _latest(floors: tuple[_Floor | None, ...]) -> Micros | None:
    return max((floor.until for floor in floors if floor is not None and floor.until is not None), default=None)


def _expire(facts: Facts, rules: list[Rule], floors: tuple[_Floor | None, ...], now: Micros) -> Decision:
    kept = next((each for each in rules if _among_last(facts, each)), None)
    if kept is not None:
        text = f"it is one of the last versions that {kept.name} keeps"
        return Decision(Action.KEEP, _latest(floors), None, (Reason("P6", text),))
    due, rule = expiry(facts, rules)
    if rule is None or due is None:
        return _unending(facts, rule, floors, now)
    reasons = [Reason("P6", rule.name)]
    if facts.protected_until is not None and facts.protected_until + facts.grace > due:
        due = facts.protected_until + facts.grace
        reasons.append(Reason("P5", "what held it ended, and the grace period after that decides"))
    review = rule.terms is not None and rule.terms.ending is Ending.REVIEW
    return _when(Action.REVIEW if review else Action.DELETE, due, tuple(reasons), floors, now)


def _unending(facts: Facts, rule: Rule | None, floors: tuple[_Floor | None, ...], now: Micros) -> Decision:
    if rule is not None and rule.never:
        return Decision(Action.KEEP, _latest(floors), None, (Reason("P6", f"{rule.name} says never"),))
    if rule is not None:
        text = f"the period of {rule.name} has not begun"
        return Decision(Action.KEEP, _latest(floors), None, (Reason("P6", text),))
    if facts.personal:
        text = "it is about data subjects, and nobody said how long it is kept"
        return _when(Action.REVIEW, facts.created_at, (Reason("P7", text),), (), now)
    return Decision(Action.KEEP, _latest(floors), None, (Reason("P7", "nobody set a TTL"),))


def _end(facts: Facts, rule: Rule) -> Micros | None:
    """Return when the longest period of a rule ends; without one, the last versions are kept and the others go."""
    if rule.terms is None:
        return None
    if rule.terms.maximum is None:
        count = rule.terms.keep_last
        return facts.newer[count - 1] if count is not None and len(facts.newer) >= count else None
    begins = _begin(facts, rule.terms.start)
    return None if begins is None else begins + rule.terms.maximum


def _among_last(facts: Facts, rule: Rule) -> bool:
    return rule.terms is not None and rule.terms.keep_last is not None and len(facts.newer) < rule.terms.keep_last


def _begin(facts: Facts, start: Start) -> Micros | None:
    match start:
        case Start.CREATED:
            return facts.created_at
        case Start.LAST_USED:
            return facts.created_at if facts.last_used_at is None else max(facts.created_at, facts.last_used_at)
        case Start.UNLINKED:
            return None if facts.protected_by else facts.protected_until
        case Start.SUPERSEDED:
            return facts.newer[0] if facts.newer else None


def _order(rule: Rule) -> tuple[int, str, str, bool, str]:
    return rule.level, rule.name, rule.citation or "", rule.never, repr(rule.terms)
