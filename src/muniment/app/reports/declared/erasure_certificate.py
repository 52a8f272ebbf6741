"""R10, the certificate of erasure: what a request erased, what is left of it, and how that was verified."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from muniment.app import canonical
from muniment.app.erasing import certificate as certificates
from muniment.app.reports.declared import disposal_register, residual_copies
from muniment.app.reports.person import request
from muniment.app.reports.shape import About, Cells, Report, Scope, Sheet, json_, moment, number, text
from muniment.domain.request import CertificateIssued, ErasureVerified, RequestDecided
from muniment.domain.rows import DisposalRow, ProposalRow
from muniment.domain.values import StreamId


def certificate(scope: Scope) -> Iterator[Cells]:
    """Yield the certificate, if the request has one."""
    row = request(scope)
    scanned, issued, decided = None, None, None
    for recorded in scope.store.ledger.read(until=scope.at, stream=StreamId(row.request_id)):
        match recorded.event:
            case ErasureVerified() as verified:
                scanned = verified.scanned
            case CertificateIssued() as each:
                issued = (recorded, each)
            case RequestDecided():
                decided = recorded
    if issued is None:
        return
    recorded, event = issued
    proposals = scope.each(ProposalRow, "proposed_at", act="erase", target=row.request_id)
    yield (
        event.certificate_id,
        row.request_id,
        row.subject_id,
        row.verdict,
        row.exemption,
        row.found,
        row.erased,
        len((row.kept or "").split()),
        row.residual,
        scanned,
        decided.recorded_at if decided else None,
        next((each.approved_by for each in proposals if each.approved_by), None),
        recorded.recorded_at,
        recorded.seq,
        event.sealed,
        scope.value(event.content.slot),
    )


def files(scope: Scope, folder: Path, names: Sequence[str]) -> Iterator[str]:
    """Write the certificate itself, as it was issued, and as a page; nothing if there is none (any more)."""
    del names
    for recorded in scope.store.ledger.read(until=scope.at, stream=StreamId(request(scope).request_id)):
        if isinstance(recorded.event, CertificateIssued):
            slot = recorded.event.content.slot
            value = scope.store.vault.get_many([slot]).get(slot)
            if value is not None:
                issued = certificates.parse(value)
                (folder / certificates.JSON_FILE).write_bytes(canonical.encode(issued.to_json()))
                (folder / certificates.PAGE_FILE).write_text(certificates.page(issued), "utf-8")
                yield from (certificates.JSON_FILE, certificates.PAGE_FILE)


def disposals(scope: Scope) -> Iterator[Cells]:
    """Yield what was disposed of for the request."""
    about = request(scope).request_id
    return (cells for cells in disposal_register.rows(scope) if cells[3] == about)


def residuals(scope: Scope) -> Iterator[Cells]:
    """Yield the copies that were left."""
    wanted = {row.disposal_id for row in scope.each(DisposalRow, "at", request_id=request(scope).request_id)}
    return (cells for cells in residual_copies.rows(scope) if cells[1] in wanted)


REPORT: Final = Report(
    name="erasure-certificate",
    number="R10",
    title="Certificate of erasure",
    reader="the person who asked, data protection officers, supervisory authorities",
    about=About.REQUEST,
    needed=True,
    private=True,
    note="What is told as gone was verified absent in the listed places at that time, and not looked for elsewhere.",
    files=files,
    sheets=(
        Sheet(
            "certificate",
            "The certificate",
            (
                text("certificate_id", "its id"),
                text("request_id", "the request"),
                text("subject_id", "the random id of the data subject"),
                text("decision", "approved or partial"),
                text("exemption", "the letter of Art. 17(3) by which something is kept"),
                number("found", "how many things were found"),
                number("erased", "how many were erased"),
                number("kept", "how many are kept"),
                number("residual", "how many copies were left for a while"),
                number("scanned", "how much was searched for what should be gone"),
                moment("decided_at", "when it was decided"),
                text("approved_by", "the id of who approved it"),
                moment("issued_at", "when the certificate was issued"),
                number("seq", "the event that says so"),
                text("sealed", "the commitment to the certificate that this event holds"),
                json_("content", "the certificate itself; null where it was forgotten"),
            ),
            certificate,
        ),
        Sheet("disposals", "What was disposed of", disposal_register.REPORT.sheets[0].columns, disposals),
        Sheet("residuals", "Copies that were left", residual_copies.REPORT.sheets[0].columns, residuals),
    ),
)
