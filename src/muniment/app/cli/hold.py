"""Holds: what must not be removed, whoever asks."""

from __future__ import annotations

from typing import Any

import click

from muniment.app import clock, holds, scopes
from muniment.app.cli import asked
from muniment.app.cli.asked import ONE_ID
from muniment.app.cli.describe import Logins
from muniment.app.cli.frame import group, store, texts
from muniment.app.cli.show import Many, One, Shown, Values
from muniment.app.cli.trying import acted_on, dry_run_option, tried
from muniment.app.erasing import data_subjects
from muniment.app.labels import Labels
from muniment.app.store import Store
from muniment.domain.hold import HoldKind, ScopeKind
from muniment.domain.rows import HoldRow
from muniment.domain.values import Micros

COLUMNS = ("hold_id", "kind", "scope", "target", "placed_by", "placed_at", "review_by", "state")
NEVER = "never"
review_option = click.option(
    "--review-by", metavar="TIME|never", help="When to look whether it is still needed: an ISO time such as 2027-01-31."
)


@group(examples=("muniment hold place mnist --matter 'case 17'", "muniment hold list"))
def hold() -> None:
    """Keep what is in a scope, whoever wants it gone, until two admins agreed that it may go."""


@hold.command(
    "place",
    examples=(
        "muniment hold place mnist:v3 --matter 'case 17'",
        "muniment hold place wandb-registry-model --kind regulatory --matter - --review-by 2027-01-31 < matter.txt",
        "muniment hold place --tag evidence --matter 'case 17'",
        f"muniment hold place --subject {ONE_ID} --matter 'case 17'",
    ),
)
@click.argument("name", required=False)
@click.option("--tag", metavar="TAG", help="Everything that has this tag.")
@click.option("--subject", metavar="SUBJECT", help="Everything that is about this data subject.")
@click.option(
    "--kind",
    type=click.Choice([kind.value for kind in HoldKind]),
    default=HoldKind.LITIGATION.value,
    show_default=True,
    help="Why it is held.",
)
@click.option("--matter", metavar="TEXT|-", help="What it is for, or - to read it from standard input; kept apart.")
@review_option
def place(
    name: str | None, tag: str | None, subject: str | None, kind: str, matter: str | None, review_by: str | None
) -> Shown:
    """Forbid that anything in a scope is removed, from now on; what enters the scope later is held too.

    NAME is an organization, team, project, artifact, version, registry or collection, or an id. The matter is asked
    for where it is not given. Only an admin of the organization may.
    """
    if sum(each is not None for each in (name, tag, subject)) != 1:
        msg = "say what to hold: a NAME, --tag or --subject"
        raise click.UsageError(msg)
    opened = store()
    scope, target = ScopeKind.TAG, ""
    if subject is not None:
        scope, target = ScopeKind.SUBJECT, data_subjects.named(opened, subject).subject_id
    if name is not None:
        scope, target = scopes.named(opened, name)
    row = holds.place(opened, HoldKind(kind), scope, target, _matter(matter), tag=tag, review_by=_micros(review_by))
    values = _one(opened, row)
    return One(values, f"held: {values['scope']} {values['target']} (hold {row.hold_id})")


@hold.command(
    "release", examples=(f"muniment hold release {ONE_ID}", f"muniment hold release {ONE_ID} --reason 'case closed'")
)
@click.argument("id_", metavar="HOLD")
@click.option("--reason", metavar="TEXT", help="Why; kept where it can be forgotten.")
@dry_run_option
def release(id_: str, reason: str | None, dry_run: bool) -> Shown:
    """End a hold, after another admin approved: `muniment approval propose release-hold HOLD`."""
    opened = store()
    acted = acted_on(opened, dry_run=dry_run)
    holds.release(acted, id_, reason)
    return tried(acted) or One(_one(opened, holds.hold(opened.views, id_)), f"released hold {id_}")


@hold.command("review", examples=(f"muniment hold review {ONE_ID} --review-by 2027-06-30",))
@click.argument("id_", metavar="HOLD")
@review_option
def review(id_: str, review_by: str | None) -> Shown:
    """Say that a hold is still needed, and when to look again."""
    if review_by is None:
        msg = "say when to look again: --review-by 2027-06-30, or --review-by never"
        raise click.UsageError(msg)
    opened = store()
    holds.review(opened, id_, _micros(review_by))
    return One(_one(opened, holds.hold(opened.views, id_)), f"hold {id_} is to be reviewed by {review_by}")


@hold.command("list", examples=("muniment hold list", "muniment hold list --all --json"))
@click.option("--all", "everything", is_flag=True, help="Also those that were released.")
def listed(everything: bool) -> Shown:
    """List the holds in force."""
    opened = store()
    labels, logins = Labels(opened.views), Logins(opened)
    rows = [_hold(row, labels, logins) for row in holds.listed(opened.views, everything=everything)]
    return Many(rows, COLUMNS, "no holds")


@hold.command("show", examples=(f"muniment hold show {ONE_ID}", f"muniment hold show {ONE_ID} --reveal"))
@click.argument("id_", metavar="HOLD")
@click.option("--reveal", is_flag=True, help="Show the matter too.")
def show(id_: str, reveal: bool) -> Shown:
    """Show a hold; what it is about only when asked."""
    opened = store()
    row = holds.hold(opened.views, id_)
    values = _one(opened, row)
    return One({**values, "matter": texts(opened, row.matter)[0]} if reveal else values)


def _one(opened: Store, row: HoldRow) -> Values:
    return _hold(row, Labels(opened.views), Logins(opened))


def _hold(row: HoldRow, labels: Labels, logins: Logins) -> Values:
    values: dict[str, Any] = {
        "hold_id": row.hold_id,
        "state": row.state,
        "kind": row.kind,
        "scope": row.scope,
        "target": scopes.label_of(labels, row.scope, row.target, row.tag),
        "target_id": None if row.scope == ScopeKind.TAG.value else row.target,
        "placed_by": logins.of(row.placed_by),
        "placed_at": clock.to_text(row.placed_at),
        "review_by": clock.told(row.review_by),
        "released_at": clock.told(row.released_at),
    }
    return values


def _matter(given: str | None) -> str:
    found = asked.said(given)
    return click.prompt("What is the hold for", err=True, type=str) if found is None else found


def _micros(given: str | None) -> Micros | None:
    return None if given in (None, NEVER) else clock.from_text(str(given))
