"""Retention in use: which rules, holds and facts concern a version, and what follows from them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from attrs import define, evolve, field

from muniment.app import approvals, clock, holds, usage
from muniment.app.reach import in_state
from muniment.app.standing import Standing
from muniment.app.store import Store
from muniment.app.telling import history
from muniment.app.transact import Request, Steps
from muniment.domain import approval, retention
from muniment.domain.approval import Act
from muniment.domain.errors import HeldError
from muniment.domain.hold import ScopeKind
from muniment.domain.policy import DAY, Ending, Start, Terms
from muniment.domain.ports import Views
from muniment.domain.request import Right, Stage, Verdict
from muniment.domain.retention import Action, Decision, Erasure, Facts, Level, Rule, ttl_rule
from muniment.domain.rows import HoldRow, LastUseRow, PolicyRow, RequestRow, VersionRow
from muniment.domain.values import Micros, Ttl, TtlRule, VersionId
from muniment.domain.version import State

LEVELS: Final = {
    ScopeKind.VERSION: Level.VERSION,
    ScopeKind.ARTIFACT: Level.ARTIFACT,
    ScopeKind.COLLECTION: Level.COLLECTION,
    ScopeKind.TYPE: Level.TYPE,
    ScopeKind.PROJECT: Level.PROJECT,
    ScopeKind.TEAM: Level.TEAM,
    ScopeKind.ORGANISATION: Level.ORGANISATION,
}
ERASURE, REFUSED = Right.ERASURE.value, Verdict.REFUSED.value
ERASING: Final = (Stage.DECIDED.value, Stage.FENCED.value, Stage.EXECUTED.value)
"""The stages at which an approved request to erase wants something to go."""
REMOVING: Final = frozenset({Action.DELETE, Action.PURGE, Action.ERASE})


@define
class Book:
    """What decides about versions and is not about one of them, looked up once: policies, holds, requests.

    It is of one moment: a command that acts on a decision opens its own. A *wide* one is for many versions. *used*
    tells when versions were last used, where the rows that follow the ledger do not.
    """

    views: Views
    grace: Micros
    at: int | None = None
    wide: bool = False
    used: Mapping[VersionId, Micros] | None = None
    _standing: Standing = field(init=False)
    _policies: dict[tuple[str, str], list[PolicyRow]] = field(init=False)
    _held: bool = field(init=False)
    _placed: holds.Placed | None = field(init=False, default=None)
    _erasing: list[RequestRow] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._standing = Standing(self.views, self.at, self.wide)
        self._policies = defaultdict(list)
        for row in self.views.select(PolicyRow, at=self.at, order="set_at"):
            self._policies[row.scope, row.target].append(row)
        self._held = bool(self.views.select(HoldRow, at=self.at, state=holds.PLACED, order="placed_at", limit=1))
        asked = (self.views.select(RequestRow, at=self.at, stage=stage, order="due_at") for stage in ERASING)
        self._erasing = [row for rows in asked for row in rows if row.right == ERASURE and row.verdict != REFUSED]

    def decide(self, version: VersionRow, now: Micros) -> Decision:
        """Return what may be done with a version at *now*."""
        rules = tuple(self.rules(version))
        held = [row.hold_id for row in self.holds(version)]
        return retention.decide(self.facts(version, rules), rules, held, self.requests(version), now)

    def instead(self, policy_id: str, row: PolicyRow | None) -> Book:
        """Return the book as it would be with another policy, or none, in the place of one."""
        other = Book(self.views, self.grace, self.at, self.wide, self.used)
        known = [each for rows in self._policies.values() for each in rows if each.policy_id != policy_id]
        other._standing, other._policies = self._standing, defaultdict(list)
        for each in (*known, *([] if row is None else [row])):
            other._policies[each.scope, each.target].append(each)
        return other

    def due(self, version: VersionRow, now: Micros) -> Decision | None:
        """Return the decision if it is to remove something at *now*; finding out that it is not costs little."""
        rules, asked = tuple(self.rules(version)), tuple(self.requests(version))
        live = version.state == State.COMMITTED.value and self._standing.home(version).project is not None
        if live and not asked and not any(retention.speaks(rule) for rule in rules):
            return None
        found = retention.decide(self.facts(version, rules), rules, (), asked, now)
        if found.action not in REMOVING or self.holds(version):
            return None
        return found

    def require_may_go(self, version: VersionRow, now: Micros) -> None:
        """Refuse to delete what a hold or a minimum keeps: HeldError says which."""
        rules = tuple(self.rules(version))
        if not self._held and not any(rule.terms is not None and rule.terms.minimum for rule in rules):
            return
        facts = evolve(self.facts(version, rules), state=State.DELETED, deleted_at=now, grace=0)
        decision = retention.decide(facts, rules, [row.hold_id for row in self.holds(version)], (), now)
        if decision.action is not Action.PURGE:
            why = f"{decision.because[0].text} — {_way_out(decision, version)}"
            msg = f"version {version.version_id} cannot be deleted: {why}"
            raise HeldError(msg)

    @property
    def guards(self) -> bool:
        """Whether any hold is in force or any policy asks for a minimum."""
        return self._held or any(row.minimum for rows in self._policies.values() for row in rows)

    def holds(self, version: VersionRow) -> tuple[HoldRow, ...]:
        """Return the holds in force for a version."""
        if not self._held:
            return ()
        if self._placed is None:
            self._placed = holds.Placed(self._standing)
        return self._placed.on(version)

    def requests(self, version: VersionRow) -> Iterator[Erasure]:
        """Yield the approved requests to erase what a version is about; what an exemption keeps is left out."""
        for row in self._erasing:
            kept = (row.kept or "").split("\n")
            if version.version_id not in kept and self._standing.about(row.subject_id, version):
                yield Erasure(row.request_id, row.decided_at or row.received_at)

    def rules(self, version: VersionRow) -> Iterator[Rule]:
        """Yield the TTLs and policies that apply to a version."""
        home = self._standing.home(version)
        yield from _ttl(Level.VERSION, version.ttl_rule, version.ttl_micros, "its own TTL")
        if home.artifact is not None:
            ttl_rule_, micros = home.artifact.ttl_rule, home.artifact.ttl_micros
            yield from _ttl(Level.ARTIFACT, ttl_rule_, micros, "the TTL of its artifact")
        if home.team is not None and home.team.ttl_micros is not None:
            yield from _ttl(Level.TEAM, TtlRule.AFTER.value, home.team.ttl_micros, "the default TTL of its team")
        if self._policies:
            yield from map(rule_of, self._policies_of(version))

    def facts(self, version: VersionRow, rules: Iterable[Rule] = ()) -> Facts:
        """Return what is known about a version, as far as *rules* ask for it."""
        standing = self._standing
        terms = [rule.terms for rule in rules if rule.terms is not None]
        newer = max((each.keep_last or int(each.start is Start.SUPERSEDED) for each in terms), default=0)
        used = any(each.start is Start.LAST_USED for each in terms)
        return Facts(
            created_at=version.created_at,
            state=State(version.state),
            last_used_at=self._last_used(version) if used else None,
            newer=standing.newer(version, newer) if newer else (),
            protected_by=standing.held_by(version),
            protected_until=standing.held_until(version),
            orphaned=standing.home(version).project is None,
            personal=standing.personal(version),
            deleted_at=version.deleted_at,
            grace=self.grace,
        )

    def _policies_of(self, version: VersionRow) -> Iterator[PolicyRow]:
        type_ = self._standing.home(version).type
        for scope, target in self._standing.scopes(version):
            yield from self._policies.get((scope.value, target), ())
            typed = self._policies.get((ScopeKind.TYPE.value, target), ())
            yield from (row for row in typed if row.type == type_)

    def _last_used(self, version: VersionRow) -> Micros | None:
        if self.used is not None:
            return self.used.get(version.version_id)
        row = self.views.find(LastUseRow, version_id=version.version_id)
        return None if row is None else row.last_used_at


def _way_out(decision: Decision, version: VersionRow) -> str:
    if decision.due_at is not None:
        return f"it may go from {clock.to_text(decision.due_at)} on"
    return f"see: muniment retention explain {version.version_id}"


def rule_of(row: PolicyRow) -> Rule:
    """Return a policy as the decision sees it; a citation that was forgotten still binds."""
    terms = Terms(Start(row.start), row.minimum, row.maximum, Ending(row.ending), row.keep_last)
    citation = (row.citation or "a law") if row.statutory else None
    return Rule(LEVELS[ScopeKind(row.scope)], terms, f"policy {row.policy_id} of its {row.scope}", citation)


def _ttl(level: Level, rule: str, micros: Micros | None, name: str) -> Iterator[Rule]:
    found = ttl_rule(level, Ttl(TtlRule(rule), micros), name)
    if found is not None:
        yield found


def explain(store: Store, version: VersionRow, at: int | None = None, now: Micros | None = None) -> Decision:
    """Return what may be done with a version now and why, or what could be at another moment."""
    return book(store, at).decide(version, store.clock() if now is None else now)


def moment(store: Store, text: str | None) -> tuple[int | None, Micros]:
    """Read when to decide: now, a time past or to come, or the number of an event; and by the rules as of what event.

    ``None`` stands for the rules of now.
    """
    now = store.clock()
    if text is None:
        return None, now
    seq = history.as_of(store, text)
    if text.strip().isdecimal():
        return seq, store.moment(seq) if seq else now
    asked = now if text == "now" else clock.from_text(text.strip())
    return (None if asked >= now else seq), asked


def book(store: Store, at: int | None = None, *, wide: bool = False) -> Book:
    """Return what decides now, or did after event *at*; who used what is caught up with where a policy asks for it."""
    used = None
    if any(row.start == Start.LAST_USED.value for row in store.views.select(PolicyRow, at=at, order="set_at")):
        used = _last_uses(store, at)
    return Book(store.views, store.config.grace, at, wide, used)


def _last_uses(store: Store, at: int | None) -> dict[VersionId, Micros] | None:
    """Return when versions were last used, ``None`` where the rows that follow the ledger know it."""
    if at is not None:
        return usage.last_uses(store, at)
    progress = usage.up_to_date(store)
    while progress.behind:
        before, progress = progress, usage.up_to_date(store)
        if progress.position <= before.position:
            return usage.last_uses(store, progress.head)
    return None


def due(store: Store, now: Micros) -> Iterator[tuple[VersionRow, Decision]]:
    """Yield every version that something is to be removed of at *now*, and why, in the order of their making."""
    found = book(store, wide=True)
    for version in kept(store.views):
        decision = found.due(version, now)
        if decision is not None:
            yield version, decision


def overdue(store: Store, now: Micros) -> Iterator[tuple[VersionRow, Decision]]:
    """Yield every version of which something is due at *now* and not done, also what is only to be reviewed."""
    found = book(store, wide=True)
    for version in kept(store.views):
        decision = found.decide(version, now)
        if decision.action is not Action.KEEP:
            yield version, decision


def kept(views: Views) -> Iterator[VersionRow]:
    """Yield every version whose bytes are kept, the live ones first."""
    for state in (State.COMMITTED, State.DELETED):
        yield from in_state(views, state)


# --- the clock -------------------------------------------------------------------------------------------------------


def clock_doubt(store: Store, within: Micros | None = None) -> str | None:
    """Return why a period that seems over may not be; ``None`` if the clock went on in small steps.

    What was a jump, or a time in which nothing happened, is believed *within* so long, a grace period if not given.
    """
    ledger, now = store.ledger, store.clock()
    within = store.config.grace if within is None else within
    head = ledger.head()
    if (why := retention.clock_jumped(head.recorded_at, now)) is not None:
        return why if within > 0 or now < head.recorded_at else None
    seq = max(ledger.at(now - within), 1)
    while seq < head.size:
        begun = store.moment(seq)
        after = ledger.at(begun + retention.BOUND)
        if after == seq:
            ended = store.moment(seq + 1)
            return f"until {clock.to_text(ended)}, nothing was recorded for {(ended - begun) / DAY:,.1f} days"
        seq = after
    return None


def clock_guard(store: Store, *, expiring: bool = False) -> str | None:
    """Return why what is due must wait; ``None`` if the clock is sound, or another admin approved all the same.

    An approval is used up, for all that is due now; without one, it is proposed. Ask only if something is due. What is
    *expiring* waits for a week at least, because aliases go with it; what was deleted waits for a grace period.
    """
    within = max(store.config.grace, retention.BOUND) if expiring else store.config.grace
    doubt = clock_doubt(store, within)
    if doubt is None:
        return None
    act, target, views = Act.PURGE_AFTER_CLOCK_JUMP, store.context.organisation, store.views

    def decide(steps: Steps) -> None:
        approvals.require_admin(steps.views, store.context, "purge after the clock jumped")
        approvals.carry_out(steps, act, target)

    if approvals.of_act(views, act, target, approval.Stage.APPROVED, store.clock()) is not None:
        store.transact(Request("purge after clock jump", None, target), decide)
        return None
    waiting = approvals.of_act(views, act, target, approval.Stage.PROPOSED, store.clock())
    id_ = waiting.proposal_id if waiting else approvals.propose(store, act, target)
    return (
        f"{doubt}, so what is due waits until {within / DAY:g} days have passed from there — to go on now, check the "
        f"clock and let another admin run: muniment approval approve {id_}"
    )
