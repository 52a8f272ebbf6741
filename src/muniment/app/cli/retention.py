"""Retention: how long things are kept and why, policies, what is overdue, one TTL for a whole lineage."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click

from muniment.app import clock, durations, lineage_ttl, policies, previews, scopes
from muniment.app import retention as keeping
from muniment.app.cli import describe
from muniment.app.cli.asked import ONE_ID
from muniment.app.cli.describe import Logins
from muniment.app.cli.frame import as_of_option, find, group, seq_at, store
from muniment.app.cli.show import Many, One, Shown, Values, printable
from muniment.app.cli.trying import dry_run_option
from muniment.app.labels import Labels
from muniment.app.previews import Difference
from muniment.app.reach import name_of
from muniment.app.store import Store
from muniment.app.subjects import version_or_run
from muniment.domain.errors import NotFoundError
from muniment.domain.hold import ScopeKind
from muniment.domain.policy import DAY, Ending, PolicySet, Start, Terms
from muniment.domain.retention import Decision, Rule
from muniment.domain.rows import PolicyRow, VersionRow
from muniment.domain.values import Micros, VersionId

COLUMNS = ("policy_id", "scope", "target", "start", "minimum", "maximum", "keep_last", "ending", "citation")


@group(examples=("muniment retention explain mnist:v3", "muniment retention set mnist --max 365d --dry-run"))
def retention() -> None:
    """Say how long things are kept, and ask why something is kept or goes."""


@retention.command(
    "explain",
    examples=(
        "muniment retention explain mnist:v3",
        "muniment retention explain mnist:v3 --at 2027-01-31",
        "muniment retention explain mnist:v3 --at 1200 --json",
    ),
)
@click.argument("name")
@click.option(
    "--at",
    "--as-of",
    "moment",
    metavar="TIME",
    help="At this time, past or to come, or after the event of this number.",
)
def explain(name: str, moment: str | None) -> Shown:
    """Say what may be done with a version, when, and why: the rules, holds and links that count.

    A time to come is answered by the rules of today.
    """
    opened = store()
    at, now = keeping.moment(opened, moment)
    version = _version(opened, name, at)
    book = keeping.book(opened, at)
    decision = book.decide(version, now)
    values = {
        "name": name_of(opened, version),
        "version_id": version.version_id,
        "state": version.state,
        **_decision(decision),
        "because": [{"rule": reason.rule, "text": reason.text} for reason in decision.because],
        "rules": [_rule(rule) for rule in book.rules(version)],
        "holds": [row.hold_id for row in book.holds(version)],
    }
    return One(values, _explained(values))


@retention.command("list", examples=("muniment retention list", "muniment retention list --as-of 2026-03-03 --json"))
@as_of_option
def listed(moment: str | None) -> Shown:
    """List the policies in force."""
    opened = store()
    at = seq_at(opened, moment)
    labels = Labels(opened.views, at)
    rows = opened.views.select(PolicyRow, at=at, order="set_at")
    logins = Logins(opened)
    return Many([_policy(row, labels, logins) for row in rows], COLUMNS, "no policies")


@retention.command(
    "set",
    examples=(
        "muniment retention set local/digits --max 365d",
        "muniment retention set local --type model --min 3653d --citation 'AI Act Art. 18'",
        "muniment retention set mnist --keep-last 3 --max 30d --dry-run",
        "muniment retention set local/digits --max 90d --start unlinked --ending review",
    ),
)
@click.argument("name")
@click.option("--min", "minimum", metavar="TIME", help="Keep it at least so long: 184d, 12h.")
@click.option("--max", "maximum", metavar="TIME", help="Let it go after so long.")
@click.option("--keep-last", type=click.IntRange(1), metavar="N", help="Always keep the newest N versions.")
@click.option(
    "--start",
    type=click.Choice([each.value for each in Start]),
    default=Start.CREATED.value,
    show_default=True,
    help="When the time begins.",
)
@click.option(
    "--ending",
    type=click.Choice([each.value for each in Ending]),
    default=Ending.DELETE.value,
    show_default=True,
    help="What happens when the longest time is over.",
)
@click.option(
    "--type", "type_", metavar="TYPE", help="Only artifacts of this type in the project, team or organization."
)
@click.option("--citation", metavar="TEXT", help="The law that asks for the minimum, such as 'AI Act Art. 19'.")
@dry_run_option
def set_(
    name: str,
    *,
    minimum: str | None,
    maximum: str | None,
    keep_last: int | None,
    start: str,
    ending: str,
    type_: str | None,
    citation: str | None,
    dry_run: bool,
) -> Shown:
    """Set how long what is in a scope is kept, in place of the policy that has the same scope and start.

    NAME is an organization, team, project, artifact, version or collection, or an id. Shortening what was set takes a
    second admin. With --dry-run it is tried on all versions, and those that would go at another time are listed.
    """
    opened = store()
    scope, target = scopes.named(opened, name)
    terms = Terms(Start(start), _micros(minimum), _micros(maximum), Ending(ending), keep_last)
    kind = ScopeKind.TYPE if type_ is not None else scope
    if dry_run:
        tried = previews.of_policy(opened, PolicySet(kind, target, terms, citation is not None, type_, citation))
        return _tried(opened, tried.differences, tried.needs)
    row = policies.set_policy(opened, kind, target, terms, type_=type_, citation=citation)
    values = _policy(row, Labels(opened.views), Logins(opened))
    return One(values, f"policy {row.policy_id} is in force for {values['scope']} {printable(values['target'])}")


@retention.command(
    "remove", examples=(f"muniment retention remove {ONE_ID}", f"muniment retention remove {ONE_ID} --dry-run")
)
@click.argument("policy")
@dry_run_option
def remove(policy: str, dry_run: bool) -> Shown:
    """Let a policy count no more; giving up a minimum takes a second admin."""
    opened = store()
    if dry_run:
        tried = previews.of_removal(opened, policy)
        return _tried(opened, tried.differences, tried.needs)
    row = policies.policy(opened.views, policy)
    values = _policy(row, Labels(opened.views), Logins(opened))
    policies.remove_policy(opened, policy)
    return One({"removed": row.policy_id, **values}, f"policy {row.policy_id} counts no more")


@retention.command("overdue", examples=("muniment retention overdue", "muniment retention overdue --json"))
def overdue() -> Shown:
    """List what is due and not done: versions to delete, to purge, to erase, or to look at.

    `muniment gc` deletes and purges; what is to be looked at stays until somebody decides.
    """
    opened = store()
    now = opened.clock()
    rows = ({**_due(opened, version, decision, now)} for version, decision in keeping.overdue(opened, now))
    return Many(rows, ("name", "action", "due_at", "late", "because"), "nothing is overdue")


@retention.command(
    "apply",
    examples=(
        "muniment retention apply --lineage up digits:best 30d",
        "muniment retention apply --lineage down raw-pets:v0 never --dry-run",
    ),
)
@click.option(
    "--lineage",
    "direction",
    type=click.Choice([lineage_ttl.UP, lineage_ttl.DOWN]),
    required=True,
    help="up: all that it was made from; down: all that was made from it.",
)
@click.option("--depth", type=click.IntRange(1), metavar="N", help="At most so many steps away; otherwise all.")
@click.argument("name")
@click.argument("time", metavar="TIME|never|inherit")
@dry_run_option
def apply(direction: str, depth: int | None, name: str, time: str, dry_run: bool) -> Shown:
    """Set the TTL of a version and of all versions up or down its lineage, in one step: of all, or of none.

    What is linked in a registry keeps its TTL too, which counts again once it is not linked. With --dry-run the
    versions that would go at another time are listed.
    """
    opened = store()
    found, ttl = find(opened, name), durations.ttl_from_text(time)
    if dry_run:
        rows = lineage_ttl.tried(opened, found, ttl, direction, depth)
        return _tried(opened, rows, None)
    changed = lineage_ttl.set_ttl(opened, found, ttl, direction, depth)
    names = [describe.source_name(each) for each in changed]
    values = {
        "ttl": time,
        "versions": [
            {"name": each, "version_id": one.version.version_id} for each, one in zip(names, changed, strict=True)
        ],
    }
    return One(values, "\n".join([f"{time}: {printable(each)}" for each in names]))


# --- in words --------------------------------------------------------------------------------------------------------


def _version(opened: Store, name: str, at: int | None) -> VersionRow:
    meant = version_or_run(opened, name, at)
    row = opened.views.find(VersionRow, at=at, version_id=VersionId(meant.id))
    if row is None:
        msg = f"{name!r} is no version — write name:vN"
        raise NotFoundError(msg)
    return row


def _micros(text: str | None) -> Micros | None:
    return None if text is None else durations.lasting(text, "184d")


def _time(micros: Micros | None) -> str | None:
    return None if micros is None else durations.to_text(micros)


def _decision(decision: Decision) -> dict[str, Any]:
    return {
        "action": decision.action.value,
        "not_before": clock.told(decision.not_before),
        "then": None if decision.then is None else decision.then.value,
        "due_at": clock.told(decision.due_at),
    }


def _rule(rule: Rule) -> Values:
    terms = rule.terms
    return {
        "rule": rule.name,
        "level": rule.level.name.lower(),
        "minimum": _time(terms.minimum) if terms else None,
        "maximum": _time(terms.maximum) if terms else None,
        "keep_last": terms.keep_last if terms else None,
        "start": terms.start.value if terms else None,
        "citation": rule.citation,
        "never": rule.never,
    }


def _explained(values: dict[str, Any]) -> str:
    lines = [f"{printable(values['name'])}: {values['action']}"]
    lines += [f"  {reason['rule']}  {printable(reason['text'])}" for reason in values["because"]]
    if values["not_before"]:
        lines.append(f"  kept at least until {values['not_before']}")
    lines.append(f"  {values['then']} on {values['due_at']}" if values["due_at"] else "  nothing is due")
    return "\n".join(lines)


def _policy(row: PolicyRow, labels: Labels, logins: Logins) -> dict[str, Any]:
    return {
        "policy_id": row.policy_id,
        "scope": row.scope,
        "target": scopes.label_of(labels, row.scope, row.target, row.type),
        "target_id": row.target,
        "type": row.type,
        "start": row.start,
        "minimum": _time(row.minimum),
        "maximum": _time(row.maximum),
        "keep_last": row.keep_last,
        "ending": row.ending,
        "citation": row.citation,
        "statutory": bool(row.statutory),
        "set_by": logins.of(row.set_by),
        "set_at": clock.to_text(row.set_at),
    }


def _due(opened: Store, version: VersionRow, decision: Decision, now: Micros) -> Values:
    late = None if decision.due_at is None else max(now - decision.due_at, 0)
    return {
        "name": name_of(opened, version),
        "version_id": version.version_id,
        "action": decision.action.value,
        "due_at": clock.told(decision.due_at),
        "late": None if late is None else f"{late // DAY}d",
        "late_seconds": None if late is None else late / durations.SECOND,
        "because": decision.why,
    }


def _tried(opened: Store, differences: Iterable[Difference], needs: str | None) -> One:
    rows = [
        {
            "name": name_of(opened, each.version),
            "version_id": each.version.version_id,
            "before": _decision(each.before),
            "after": _decision(each.after),
            "because": each.after.why,
        }
        for each in differences
    ]
    lines = [f"{printable(str(row['name']))}: {_when(row['before'])} → {_when(row['after'])}" for row in rows]
    lines.append(f"{len(rows)} versions would be kept or go otherwise")
    lines += [printable(needs)] if needs else []
    return One({"dry_run": True, "needs": needs, "versions": rows}, "\n".join([*lines, "nothing was done"]))


def _when(decision: Any) -> str:  # noqa: ANN401 (what was made of a decision)
    if decision["due_at"]:
        return f"{decision['then']} on {decision['due_at']}"
    return f"never, and not before {decision['not_before']}" if decision["not_before"] else "never"
