"""Retention in use: which rules, holds and facts concern a version, what follows from them, and setting policies."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from attrs import define, evolve, field, frozen

from muniment.app import approvals, catalog, holds, usage
from muniment.app.store import Store
from muniment.app.transact import Request, Steps, new_id
from muniment.domain import policy as policies
from muniment.domain import retention
from muniment.domain.approval import Act
from muniment.domain.errors import HeldError, NotFoundError
from muniment.domain.hold import ScopeKind
from muniment.domain.policy import Ending, PolicySet, Start, Terms
from muniment.domain.ports import Views
from muniment.domain.request import Right, Stage, Verdict
from muniment.domain.retention import Action, Decision, Erasure, Facts, Level, Rule, ttl_rule
from muniment.domain.rows import (
    ArtifactRow,
    HoldRow,
    LastUseRow,
    PolicyRow,
    ProjectRow,
    RequestRow,
    SubjectEntryRow,
    SubjectTargetRow,
    TeamRow,
    VersionRow,
)
from muniment.domain.values import Micros, Ttl, TtlRule
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


@frozen
class _Home:
    """Where a version belongs: its artifact and project as they are, ``None`` if deleted, and its team."""

    artifact: ArtifactRow | None
    project: ProjectRow | None
    team: TeamRow | None
    type: str | None


@define
class Book:
    """What decides about versions and is not about one of them, looked up once: policies, holds, requests.

    It is of one moment: a command that acts on a decision opens its own.
    """

    views: Views
    grace: Micros
    at: int | None = None
    _policies: dict[tuple[str, str], list[PolicyRow]] = field(init=False)
    _held: bool = field(init=False)
    _erasing: list[RequestRow] = field(init=False)
    _homes: dict[str, _Home] = field(init=False, factory=dict)

    def __attrs_post_init__(self) -> None:
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

    def require_may_go(self, version: VersionRow, now: Micros) -> None:
        """Refuse to delete what a hold or a minimum keeps: HeldError says which."""
        rules = tuple(self.rules(version))
        if not self._held and not any(rule.terms is not None and rule.terms.minimum for rule in rules):
            return
        facts = evolve(self.facts(version, rules), state=State.DELETED, deleted_at=now, grace=0)
        decision = retention.decide(facts, rules, [row.hold_id for row in self.holds(version)], (), now)
        if decision.action is not Action.PURGE:
            msg = f"version {version.version_id} cannot be deleted: {decision.because[0].text}"
            raise HeldError(msg)

    @property
    def guards(self) -> bool:
        """Whether any hold is in force or any policy asks for a minimum."""
        return self._held or any(row.minimum for rows in self._policies.values() for row in rows)

    def holds(self, version: VersionRow) -> tuple[HoldRow, ...]:
        """Return the holds in force for a version."""
        return holds.on_version(self.views, version, self.at) if self._held else ()

    def requests(self, version: VersionRow) -> Iterator[Erasure]:
        """Yield the approved requests to erase what a version is about; what an exemption keeps is left out."""
        for row in self._erasing:
            kept = (row.kept or "").split("\n")
            if version.version_id not in kept and holds.concerns(self.views, row.subject_id, version, self.at):
                yield Erasure(row.request_id, row.decided_at or row.received_at)

    def rules(self, version: VersionRow) -> Iterator[Rule]:
        """Yield the TTLs and policies that apply to a version."""
        home = self._home(version)
        yield from _ttl(Level.VERSION, version.ttl_rule, version.ttl_micros, "its own TTL")
        if home.artifact is not None:
            ttl_rule_, micros = home.artifact.ttl_rule, home.artifact.ttl_micros
            yield from _ttl(Level.ARTIFACT, ttl_rule_, micros, "the TTL of its artifact")
        if home.team is not None and home.team.ttl_micros is not None:
            yield from _ttl(Level.TEAM, TtlRule.AFTER.value, home.team.ttl_micros, "the default TTL of its team")
        if self._policies:
            yield from map(rule_of, self._policies_of(version, home))

    def facts(self, version: VersionRow, rules: Iterable[Rule] = ()) -> Facts:
        """Return what is known about a version, as far as *rules* ask for it."""
        home = self._home(version)
        terms = [rule.terms for rule in rules if rule.terms is not None]
        newer = max((each.keep_last or int(each.start is Start.SUPERSEDED) for each in terms), default=0)
        used = any(each.start is Start.LAST_USED for each in terms)
        return Facts(
            created_at=version.created_at,
            state=State(version.state),
            last_used_at=self._last_used(version) if used else None,
            newer=self._newer(version, newer) if newer else (),
            protected_by=catalog.link_names(catalog.links_of(self.views, version.version_id, self.at)),
            protected_until=version.unlinked_at,
            orphaned=home.project is None,
            personal=self._personal(version),
            deleted_at=version.deleted_at,
            grace=self.grace,
        )

    def _home(self, version: VersionRow) -> _Home:
        known = self._homes.get(version.artifact_id)
        if known is None:
            views, at = self.views, self.at
            artifact = views.find(ArtifactRow, at=at, artifact_id=version.artifact_id)
            project = views.find(ProjectRow, at=at, project_id=artifact.project_id) if artifact else None
            begun = artifact or views.find(ArtifactRow, at=version.created_seq, artifact_id=version.artifact_id)
            lived = project or holds.project_of(views, version)
            team = views.find(TeamRow, at=at, team_id=lived.team_id) if lived else None
            known = self._homes[version.artifact_id] = _Home(artifact, project, team, begun.type if begun else None)
        return known

    def _policies_of(self, version: VersionRow, home: _Home) -> Iterator[PolicyRow]:
        for scope, target in holds.scopes_of(self.views, version, self.at):
            yield from self._policies.get((scope.value, target), ())
            typed = self._policies.get((ScopeKind.TYPE.value, target), ())
            yield from (row for row in typed if row.type == home.type)

    def _newer(self, version: VersionRow, wanted: int) -> tuple[Micros, ...]:
        """Return when the first *wanted* later live versions of the artifact were made."""
        rows = self.views.select(
            VersionRow,
            at=self.at,
            artifact_id=version.artifact_id,
            state=State.COMMITTED.value,
            order="index",
            after=version.index,
            limit=wanted,
        )
        return tuple(row.created_at for row in rows)

    def _last_used(self, version: VersionRow) -> Micros | None:
        row = self.views.find(LastUseRow, version_id=version.version_id)
        return None if row is None else row.last_used_at

    def _personal(self, version: VersionRow) -> bool:
        whole = (version.version_id, version.artifact_id)
        return any(
            self.views.select(SubjectTargetRow, at=self.at, target=target, order="subject_id", limit=1)
            for target in whole
        ) or bool(
            self.views.select(SubjectEntryRow, at=self.at, version_id=version.version_id, order="entry_id", limit=1)
        )


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


def book(store: Store, at: int | None = None) -> Book:
    """Return what decides now, or did after event *at*; who used what is caught up with where a policy asks for it."""
    if any(row.start == Start.LAST_USED.value for row in store.views.select(PolicyRow, at=at, order="set_at")):
        usage.up_to_date(store)
    return Book(store.views, store.config.grace, at)


# --- policies --------------------------------------------------------------------------------------------------------


def set_policy(
    store: Store,
    scope: ScopeKind,
    target: str,
    terms: Terms,
    *,
    type_: str | None = None,
    citation: str | None = None,
) -> PolicyRow:
    """Set how long what is in a scope is kept, in place of the policy that has the same scope and start.

    Shortening what was set takes an approval. Only an admin of the organisation may.
    """
    there = next((row for row in of_scope(store.views, scope, target, type_) if row.start == terms.start.value), None)
    id_ = there.policy_id if there else new_id()
    wanted = PolicySet(scope, target, terms, citation is not None, type_, citation)

    def decide(steps: Steps) -> None:
        approvals.require_admin(steps.views, store.context, "set a retention policy")
        _change(steps, id_, terms, lambda: steps.step(policies.POLICY, id_, policies.set_policy, wanted))

    store.transact(Request("set policy", [scope.value, repr(terms)], target), decide)
    return policy(store.views, id_)


def remove_policy(store: Store, policy_id: str) -> None:
    """Let a policy count no more; giving up a minimum takes an approval."""
    row = policy(store.views, policy_id)

    def decide(steps: Steps) -> None:
        approvals.require_admin(steps.views, store.context, "remove a retention policy")
        _change(steps, row.policy_id, None, lambda: steps.step(policies.POLICY, row.policy_id, policies.remove_policy))

    store.transact(Request("remove policy", None, row.policy_id), decide)


def policy(views: Views, policy_id: str) -> PolicyRow:
    """Return a policy in force by its id."""
    row = views.find(PolicyRow, policy_id=policy_id)
    if row is None:
        msg = f"there is no policy {policy_id} — see: muniment retention list"
        raise NotFoundError(msg)
    return row


def of_scope(views: Views, scope: ScopeKind, target: str, type_: str | None = None) -> list[PolicyRow]:
    """Return the policies of one scope."""
    rows = views.select(PolicyRow, scope=scope.value, target=target, order="set_at")
    return [row for row in rows if row.type == type_]


def _change(steps: Steps, policy_id: str, wanted: Terms | None, act: Callable[[], object]) -> None:
    """Change a policy, using up an approval if something may go earlier afterwards."""
    needed: list[bool] = []

    def look(state: policies.Policy) -> list[policies.PolicyEvent]:
        needed.append(policies.needs_approval(state, wanted))
        return []

    steps.step(policies.POLICY, policy_id, look)
    if act() and needed[0]:
        approvals.carry_out(steps, Act.SHORTEN_RETENTION, policy_id)
