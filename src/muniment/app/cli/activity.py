"""What data is processed for."""

from __future__ import annotations

import click

from muniment.app import activities, clock, scopes
from muniment.app.cli.asked import ONE_ID
from muniment.app.cli.frame import group, store
from muniment.app.cli.show import Many, One, Shown, Values
from muniment.app.cli.trying import acted_on, dry_run_option, tried
from muniment.app.labels import Labels
from muniment.domain.processing import LegalBasis, Part
from muniment.domain.rows import ActivityRow

COLUMNS = ("activity_id", "part", "name", "purpose", "legal_basis", "target", "declared_at")


@group(examples=("muniment activity list",))
def activity() -> None:
    """Say what data is processed for, as the record of processing (GDPR Art. 30) asks."""


@activity.command(
    examples=("muniment activity declare local/faces --name 'face study' --purpose research --legal-basis '6(1)(a)'",)
)
@click.argument("target", metavar="NAME")
@click.option("--id", "activity_id", metavar="ID", help="Change this activity instead of adding one.")
@click.option("--name", metavar="TEXT", required=True, help="What the activity is called.")
@click.option("--purpose", metavar="TEXT", required=True, help="What data is processed for.")
@click.option(
    "--part",
    type=click.Choice([part.value for part in Part]),
    default=Part.CONTROLLER.value,
    show_default=True,
    help="For one's own purposes, or for those of others.",
)
@click.option("--legal-basis", type=click.Choice([each.value for each in LegalBasis]), help="The letter of Art. 6(1).")
@click.option("--special", is_flag=True, help="Categories of Art. 9 are among the data.")
@click.option("--subjects", metavar="TEXT", help="Whom the data is about.")
@click.option("--data", metavar="TEXT", help="What kinds of data.")
@click.option("--recipients", metavar="TEXT", help="Who receives it.")
@click.option("--transfers", metavar="TEXT", help="Third countries, with the safeguards.")
@click.option("--retention", metavar="TEXT", help="The time limits for erasure, in words.")
@click.option("--measures", metavar="TEXT", help="Technical and organisational measures.")
@click.option("--contacts", metavar="TEXT", help="Controller, representative and data protection officer.")
def declare(  # noqa: PLR0917 (click hands options over by name)
    target: str,
    activity_id: str | None,
    name: str,
    purpose: str,
    part: str,
    legal_basis: str | None,
    special: bool,
    subjects: str | None,
    data: str | None,
    recipients: str | None,
    transfers: str | None,
    retention: str | None,
    measures: str | None,
    contacts: str | None,
) -> Shown:
    """Declare what data in a scope is processed for; with --id declare it anew.

    NAME is an organization, team, project or artifact. Contacts are kept apart, where they can be forgotten; only an
    admin of the organization may.
    """
    opened = store()
    scope, id_ = scopes.named(opened, target)
    row = activities.declare(
        opened,
        scope,
        id_,
        activity_id=activity_id,
        name=name,
        purpose=purpose,
        part=Part(part),
        legal_basis=LegalBasis(legal_basis) if legal_basis else None,
        special=special,
        subject_categories=subjects,
        data_categories=data,
        recipients=recipients,
        transfers=transfers,
        retention=retention,
        measures=measures,
        contacts=contacts,
    )
    return One(_values(row, Labels(opened.views)), f"declared: {name} (activity {row.activity_id})")


@activity.command(examples=(f"muniment activity end {ONE_ID}",))
@click.argument("activity_id", metavar="ID")
@dry_run_option
def end(activity_id: str, dry_run: bool) -> Shown:
    """Say that data is not processed for this any more."""
    acted = acted_on(store(), dry_run=dry_run)
    activities.end(acted, activity_id)
    return tried(acted) or One({"activity_id": activity_id}, f"ended: activity {activity_id}")


@activity.command("list", examples=("muniment activity list --json",))
def listed() -> Shown:
    """List the activities that go on."""
    opened = store()
    labels = Labels(opened.views)
    return Many([_values(row, labels) for row in activities.listed(opened.views)], COLUMNS, "nothing was declared")


def _values(row: ActivityRow, labels: Labels) -> Values:
    label = labels.of(row.target)
    return {
        "activity_id": row.activity_id,
        "part": row.part,
        "name": row.name,
        "purpose": row.purpose,
        "legal_basis": row.legal_basis,
        "special": bool(row.special),
        "subject_categories": row.subject_categories,
        "data_categories": row.data_categories,
        "recipients": row.recipients,
        "transfers": row.transfers,
        "retention": row.retention,
        "measures": row.measures,
        "scope": row.scope,
        "target": label.path if label else row.target,
        "target_id": row.target,
        "declared_at": clock.to_text(row.declared_at),
    }
