"""Acts that take two people: proposing, approving and withdrawing them."""

from __future__ import annotations

from typing import Any

import click

from muniment.app import approvals, clock
from muniment.app.cli.asked import ONE_ID
from muniment.app.cli.describe import Logins
from muniment.app.cli.frame import group, store, texts
from muniment.app.cli.show import Many, One, Shown, Values
from muniment.app.cli.trying import acted_on, dry_run_option, tried
from muniment.app.store import Store
from muniment.domain.approval import Act
from muniment.domain.rows import ProposalRow

COLUMNS = ("proposal_id", "act", "target", "state", "proposed_by", "expires_at")


@group(examples=("muniment approval list", f"muniment approval approve {ONE_ID}"))
def approval() -> None:
    """Agree, as a second admin, to what one alone may not do: end a hold, shorten a period, erase."""


@approval.command(
    "propose",
    examples=(
        f"muniment approval propose release-hold {ONE_ID} --reason 'the case is closed'",
        "muniment approval propose purge-after-clock-jump",
    ),
)
@click.argument("act", type=click.Choice([act.value for act in Act]))
@click.argument("target", required=False)
@click.option("--reason", metavar="TEXT", help="Why; kept where it can be forgotten.")
def propose(act: str, target: str | None, reason: str | None) -> Shown:
    """Propose an act, which another admin can then approve within 30 days.

    TARGET is the id of the hold, policy, request or version that it is about; left out, it is the organization.
    """
    opened = store()
    id_ = approvals.propose(opened, Act(act), target or opened.context.organisation, reason)
    values = _proposal(opened, approvals.proposal(opened.views, id_), Logins(opened))
    return One(values, f"proposed to {act}: another admin runs `muniment approval approve {id_}`")


@approval.command("approve", examples=(f"muniment approval approve {ONE_ID}",))
@click.argument("proposal")
def approve(proposal: str) -> Shown:
    """Agree to what somebody else proposed; then it can be done once."""
    opened = store()
    row = approvals.approve(opened, proposal)
    return One(_proposal(opened, row, Logins(opened)), f"approved to {row.act} {row.target}")


@approval.command("withdraw", examples=(f"muniment approval withdraw {ONE_ID}",))
@click.argument("proposal")
@dry_run_option
def withdraw(proposal: str, dry_run: bool) -> Shown:
    """Take a proposal back, or refuse one of somebody else."""
    opened = store()
    acted = acted_on(opened, dry_run=dry_run)
    approvals.withdraw(acted, proposal)
    row = approvals.proposal(opened.views, proposal)
    return tried(acted) or One(_proposal(opened, row, Logins(opened)), f"withdrawn: {row.act} {row.target}")


@approval.command("list", examples=("muniment approval list", "muniment approval list --all --json"))
@click.option("--all", "everything", is_flag=True, help="Also those that were used, withdrawn or are too old.")
@click.option("--reveal", is_flag=True, help="Show the reasons.")
def listed(everything: bool, reveal: bool) -> Shown:
    """List what waits for a second admin, or was approved and not done yet."""
    opened = store()
    rows = approvals.listed(opened.views, opened.clock(), everything=everything)
    columns = (*COLUMNS, "reason") if reveal else COLUMNS
    logins = Logins(opened)
    logins.learn(id_ for row in rows for id_ in (row.proposed_by, row.approved_by) if id_ is not None)
    return Many([_proposal(opened, row, logins, reveal=reveal) for row in rows], columns, "nothing waits for approval")


def _proposal(opened: Store, row: ProposalRow, logins: Logins, *, reveal: bool = False) -> Values:
    values: dict[str, Any] = {
        "proposal_id": row.proposal_id,
        "act": row.act,
        "target": row.target,
        "state": row.state,
        "proposed_by": logins.of(row.proposed_by),
        "approved_by": logins.of(row.approved_by),
        "proposed_at": clock.to_text(row.proposed_at),
        "expires_at": clock.to_text(row.expires_at),
    }
    return {**values, "reason": texts(opened, row.reason)[0]} if reveal else values
