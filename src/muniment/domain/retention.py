"""How long a version is kept: one pure function over facts, which also says why."""

from __future__ import annotations

import enum

from attrs import frozen

from muniment.domain.values import Micros, Ttl, TtlRule
from muniment.domain.version import State


class Action(enum.Enum):
    """What may be done with a version."""

    KEEP = "keep"
    DELETE = "delete"
    PURGE = "purge"


@frozen
class Facts:
    """All that decides about one version.

    *ttl*, *artifact_ttl* and *team_ttl* are what the version, its artifact and its team say (the team: a duration in
    microseconds, or ``None`` for none). *links* names the collections that hold it. *orphaned* tells that its
    artifact or project was deleted. *grace* is how long a deleted version can be restored, in microseconds.
    """

    created_at: Micros
    state: State = State.COMMITTED
    ttl: Ttl = Ttl()  # noqa: RUF009 (frozen)
    artifact_ttl: Ttl = Ttl()  # noqa: RUF009 (frozen)
    team_ttl: Micros | None = None
    links: tuple[str, ...] = ()
    orphaned: bool = False
    deleted_at: Micros | None = None
    grace: Micros = 0


@frozen
class Decision:
    """What may be done now, when the next thing is due (``None``: never), and why."""

    action: Action
    due_at: Micros | None
    because: str


def decide(facts: Facts, now: Micros) -> Decision:
    """Return what may be done with a version at *now*.

    A link suspends expiry; when it ends, the TTL counts from the version's creation as before. A deleted version can
    be restored until its grace period is over.
    """
    if facts.state is State.PURGED:
        return Decision(Action.KEEP, None, "its bytes are gone already")
    if facts.state is State.DELETED:
        since = facts.created_at if facts.deleted_at is None else facts.deleted_at
        due = since + facts.grace
        action = Action.PURGE if due <= now else Action.KEEP
        return Decision(action, due, "it was deleted, and the grace period decides")
    if facts.links:
        return Decision(Action.KEEP, None, f"it is linked in {', '.join(facts.links)}, which suspends its TTL")
    if facts.orphaned:
        return Decision(Action.DELETE, now, "its artifact or project was deleted")
    due_at, because = expiry(facts)
    if due_at is not None and due_at <= now:
        return Decision(Action.DELETE, due_at, because)
    return Decision(Action.KEEP, due_at, because)


def expiry(facts: Facts) -> tuple[Micros | None, str]:
    """Return when a version expires if nothing suspends it (``None``: never), and by whose word."""
    for ttl, whose in ((facts.ttl, "its own TTL"), (facts.artifact_ttl, "the TTL of its artifact")):
        if ttl.rule is TtlRule.NEVER:
            return None, f"{whose} says never"
        if ttl.rule is TtlRule.AFTER and ttl.micros is not None:
            return facts.created_at + ttl.micros, whose
    if facts.team_ttl is None:
        return None, "nobody set a TTL"
    return facts.created_at + facts.team_ttl, "the default TTL of its team"
