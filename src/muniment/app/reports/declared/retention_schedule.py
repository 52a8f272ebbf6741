"""R4, the retention schedule: which rules there are, what they apply to, what is due next, and what is late."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from attrs import define, field

from muniment.app.reports.shape import (
    Cells,
    Report,
    Scope,
    Sheet,
    amount,
    counted,
    flag,
    moment,
    number,
    text,
)
from muniment.app.retention import Book
from muniment.domain.policy import DAY
from muniment.domain.retention import Action, Decision
from muniment.domain.rows import PolicyRow, VersionRow
from muniment.domain.values import Micros
from muniment.domain.version import State

POLICY: Final = "policy "


@define
class Load:
    """What a rule applies to: how much, what is due next, and what is late."""

    objects: int = 0
    size: int = 0
    next_due: Micros | None = None
    overdue: int = 0
    days_late: int = 0

    def add(self, version: VersionRow, decision: Decision, now: Micros) -> None:
        """Count a version."""
        self.objects += 1
        self.size += version.size
        due = decision.due_at
        if due is not None and decision.action is not Action.KEEP:
            self.overdue += 1
            self.days_late = max(self.days_late, (now - due) // DAY)
        elif due is not None:
            self.next_due = due if self.next_due is None else min(self.next_due, due)

    def cells(self) -> Cells:
        """Return it as cells."""
        return self.objects, self.size, self.next_due, self.overdue, self.days_late


@define
class _Loads:
    """The loads of all rules and of all outcomes, from one look at every version whose bytes are kept."""

    by_rule: dict[str, Load] = field(factory=dict)
    by_outcome: dict[tuple[str, str, str], Load] = field(factory=dict)

    @classmethod
    def of(cls, scope: Scope) -> _Loads:
        """Return them, looked up once for all sheets."""
        if "loads" not in scope.shared:
            scope.shared["loads"] = cls().filled(scope)
        found: _Loads = scope.shared["loads"]
        return found

    def filled(self, scope: Scope) -> _Loads:
        """Look at every version whose bytes are kept."""
        book = Book(scope.store.views, scope.store.config.grace, scope.at)
        for state in (State.COMMITTED, State.DELETED):
            for version in scope.each(VersionRow, "created_at", state=state.value):
                decision = book.decide(version, scope.moment)
                for rule in book.rules(version):
                    self.by_rule.setdefault(_key(rule.name), Load()).add(version, decision, scope.moment)
                then = decision.then.value if decision.then else ""
                key = decision.because[0].rule, decision.action.value, then
                self.by_outcome.setdefault(key, Load()).add(version, decision, scope.moment)
        return self


def _key(name: str) -> str:
    """Return what tells rules apart: the id of a policy, or what kind of TTL it is."""
    return name.split(" ")[1] if name.startswith(POLICY) else name


def policies(scope: Scope) -> Iterator[Cells]:
    """Yield a row for each policy in force, and one for each kind of TTL that is."""
    loads = dict(_Loads.of(scope).by_rule)
    for row in scope.each(PolicyRow, "set_at"):
        load = loads.pop(row.policy_id, Load())
        yield (
            row.policy_id,
            row.scope,
            row.target,
            scope.name(row.target),
            row.type,
            row.start,
            row.minimum,
            row.maximum,
            row.ending,
            row.keep_last,
            int(row.statutory),
            row.citation,
            row.set_by,
            row.set_at,
            *load.cells(),
        )
    for name in sorted(loads):
        yield (name, "ttl", None, None, None, "created", *(None,) * 8, *loads[name].cells())


def outcomes(scope: Scope) -> Iterator[Cells]:
    """Yield a row for each rule of precedence that decides about something, and what it comes to."""
    for (rule, action, then), load in sorted(_Loads.of(scope).by_outcome.items()):
        yield rule, MEANINGS[rule], action, then or None, *load.cells()


MEANINGS: Final = {
    "P0": "a hold is in force",
    "P1": "a minimum that cites a law",
    "P2": "an approved request to erase",
    "P3": "a minimum of one's own",
    "P4": "somebody deleted it",
    "P5": "a link or protected alias keeps it",
    "P6": "the longest period of the narrowest scope",
    "P7": "no rule says anything",
}
_LOAD: Final = (
    number("objects", "how many versions whose bytes are kept"),
    number("bytes", "how many bytes these have"),
    moment("next_due", "when the next of them is due"),
    number("overdue", "of how many something is due and not done"),
    number("max_days_late", "for how many whole days at most"),
)

REPORT: Final = Report(
    name="retention",
    number="R4",
    title="Retention schedule",
    reader="data protection officers, records managers",
    note=(
        "A version counts for every rule that applies to it, so the numbers of the first table may be more than there "
        "are versions; in the second each counts once. Periods are in microseconds. "
        "When something was last used is known as of now only."
    ),
    sheets=(
        Sheet(
            "rules",
            "Rules",
            (
                text("rule", "the id of the policy, or what kind of TTL"),
                counted("scope", "what kind of thing it is set on"),
                text("target", "the id of that"),
                text("target_name", "its name; [erased] where it was redacted"),
                text("type", "the type of artifacts that it is for"),
                counted("start", "from when on the period counts"),
                number("minimum", "for how long nothing may go, in microseconds"),
                number("maximum", "after how long it is due, in microseconds"),
                text("ending", "what happens then: delete or review"),
                number("keep_last", "how many of the newest versions never expire"),
                flag("statutory", "whether a law asks for it"),
                text("citation", "which law"),
                text("owner", "the id of who set it"),
                moment("set_at", "when it was set"),
                *_LOAD,
            ),
            policies,
        ),
        Sheet(
            "outcomes",
            "What is decided",
            (
                text("precedence", "the rule of precedence that decides"),
                text("meaning", "what that rule says"),
                text("action", "what may be done now"),
                text("then", "what is due later"),
                amount("objects", "how many versions whose bytes are kept"),
                amount("bytes", "how many bytes these have"),
                *_LOAD[2:3],
                amount("overdue", "of how many something is due and not done"),
                number("max_days_late", "for how many whole days at most"),
            ),
            outcomes,
        ),
    ),
)
