"""The rows of approvals, holds, policies, data subjects, requests, disposals and reports."""

from __future__ import annotations

from attrs import frozen

from muniment.domain.rows.tables import Lookup, Row, Table
from muniment.domain.values import (
    Micros,
    PrincipalId,
    SlotId,
    VersionId,
)


@frozen
class ProposalRow(Row):
    """What takes two people; ``state`` is ``proposed``, ``approved``, ``withdrawn`` or ``carried-out``."""

    table = Table(
        "proposals",
        ("proposal_id",),
        (),
        (
            Lookup((), "proposed_at"),
            Lookup(("state",), "proposed_at"),
            Lookup(("act", "target"), "proposed_at"),
        ),
    )
    proposal_id: str
    act: str
    target: str
    state: str
    proposed_by: PrincipalId
    approved_by: PrincipalId | None
    proposed_at: Micros
    expires_at: Micros
    reason: SlotId | None


@frozen
class HoldRow(Row):
    """A hold; ``state`` is ``placed`` or ``released``."""

    table = Table(
        "holds",
        ("hold_id",),
        (),
        (Lookup((), "placed_at"), Lookup(("state",), "placed_at"), Lookup(("scope", "target", "state"), "placed_at")),
    )
    hold_id: str
    state: str
    kind: str
    scope: str
    target: str
    tag: str | None
    matter: SlotId
    placed_by: PrincipalId
    placed_at: Micros
    review_by: Micros | None
    released_at: Micros | None


@frozen
class PolicyRow(Row):
    """A retention policy in force; closed when it is removed."""

    table = Table("policies", ("policy_id",), (), (Lookup((), "set_at"), Lookup(("scope", "target"), "set_at")))
    policy_id: str
    scope: str
    target: str
    type: str | None
    start: str
    minimum: Micros | None
    maximum: Micros | None
    ending: str
    keep_last: int | None
    citation: str | None
    statutory: int
    set_by: PrincipalId
    set_at: Micros


@frozen
class EndingRow(Row):
    """A collection or registry that was deleted, and when: its links ended with it."""

    table = Table("endings", ("subject_id",))
    subject_id: str
    ended_at: Micros


@frozen
class DataSubjectRow(Row):
    """A data subject; ``standing`` is ``registered``, ``fenced`` or ``erased``."""

    table = Table(
        "data_subjects",
        ("subject_id",),
        (),
        (Lookup((), "registered_at"), Lookup(("standing",), "registered_at")),
    )
    subject_id: str
    identity: SlotId
    standing: str
    request_id: str | None
    registered_at: Micros


@frozen
class SubjectTargetRow(Row):
    """A version or artifact that is about a data subject as a whole."""

    table = Table(
        "subject_targets",
        ("subject_id", "target"),
        (),
        (Lookup(("subject_id",), "target"), Lookup(("target",), "subject_id")),
    )
    subject_id: str
    target: str
    kind: str


@frozen
class SubjectEntryRow(Row):
    """An entry of a version that is about a data subject."""

    table = Table(
        "subject_entries",
        ("subject_id", "entry_id"),
        (),
        (
            Lookup(("subject_id",), "entry_id"),
            Lookup(("version_id",), "entry_id"),
            Lookup(("subject_id", "version_id"), "entry_id"),
        ),
    )
    entry_id: str
    subject_id: str
    version_id: VersionId
    path: str | None


@frozen
class RequestRow(Row):
    """A request of a data subject; ``kept`` are the ids of what an exemption keeps, a line each."""

    table = Table(
        "requests",
        ("request_id",),
        (),
        (
            Lookup((), "received_at"),
            Lookup(("subject_id",), "received_at"),
            Lookup(("stage",), "due_at"),
        ),
    )
    request_id: str
    right: str
    subject_id: str
    stage: str
    received_at: Micros
    due_at: Micros
    text: SlotId | None
    verdict: str | None
    exemption: str | None
    ground: SlotId | None
    kept: str | None
    found: int
    erased: int
    residual: int
    certificate_id: str | None
    certificate: SlotId | None
    decided_at: Micros | None
    closed_at: Micros | None


@frozen
class DisposalRow(Row):
    """Bytes that were let go and verified absent: whose, why, where, how, and how much of it."""

    table = Table(
        "disposals",
        ("disposal_id",),
        (),
        (Lookup((), "at"), Lookup(("owner_id",), "at"), Lookup(("request_id",), "at")),
    )
    disposal_id: str
    owner_id: str | None
    request_id: str | None
    trigger: str
    place: str | None
    method: str
    verified_by: str
    blobs: int
    size: int
    copies: int
    residual: int
    marked_at: Micros | None
    due_at: Micros | None
    at: Micros


@frozen
class ResidualRow(Row):
    """Copies that could not go yet: where, why, and when that ends; ``state`` is ``left`` or ``gone``."""

    table = Table(
        "residuals",
        ("residual_id",),
        (),
        (Lookup((), "found_at"), Lookup(("state",), "found_at"), Lookup(("disposal_id",), "found_at")),
    )
    residual_id: str
    disposal_id: str
    state: str
    place: str | None
    why: str
    copies: int
    ends_at: Micros | None
    found_at: Micros
    ended_at: Micros | None


@frozen
class ActivityRow(Row):
    """What data is processed for, as somebody declared it for the record of processing; closed when it ends."""

    table = Table("activities", ("activity_id",), (), (Lookup((), "declared_at"), Lookup(("target",), "declared_at")))
    activity_id: str
    scope: str
    target: str
    part: str
    special: int
    name: str | None
    purpose: str | None
    legal_basis: str | None
    subject_categories: str | None
    data_categories: str | None
    recipients: str | None
    transfers: str | None
    retention: str | None
    measures: str | None
    contacts: SlotId | None
    declared_by: PrincipalId
    declared_at: Micros


@frozen
class ReportRow(Row):
    """A report that was generated, over the first ``size`` events."""

    table = Table("reports", ("report_id",), (), (Lookup((), "generated_at"), Lookup(("name",), "generated_at")))
    report_id: str
    name: str | None
    size: int
    actor: PrincipalId
    generated_at: Micros
