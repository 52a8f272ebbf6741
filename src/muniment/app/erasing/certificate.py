"""The certificate of an erasure: what was found, erased, kept and left, how that was verified, what was not searched.

It names no path, no content and no digest that anybody could guess from; who the person was is not in it either. The
ledger keeps a blinded commitment to it, so that one line changed, or another request's certificate, does not fit.
"""

from __future__ import annotations

import html
import importlib.metadata
import secrets
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from muniment.app import approvals, canonical, clock
from muniment.app.collecting import residuals
from muniment.app.erasing import deleting, planning, requests
from muniment.app.erasing.planning import Plan
from muniment.app.places import OWN_NAME
from muniment.app.proving import bundles
from muniment.app.proving.bundles import Bundle, Contents, Made
from muniment.app.proving.proofs import Prover
from muniment.app.store import Store
from muniment.app.transact import Request, Steps, new_id
from muniment.domain import request as wanted
from muniment.domain.approval import Act
from muniment.domain.disposal import Hindrance
from muniment.domain.errors import InvalidValueError, NotFoundError, ProofError
from muniment.domain.ports import SlotDraft
from muniment.domain.request import REQUEST, CertificateIssued, Stage
from muniment.domain.rows import DisposalRow, ProposalRow, RequestRow
from muniment.domain.values import Json, StreamId

FORM: Final = "muniment-erasure-certificate/v1"
REPORT: Final = "erasure-certificate"
JSON_FILE: Final = "certificate.json"
PAGE_FILE: Final = "certificate.html"
PROOF_FILE: Final = "certificate.tlog-proof"
WHY: Final = {
    Hindrance.LOCK.value: "a lock of the store holds {} copies",
    Hindrance.LEGAL_HOLD.value: "a legal hold of the store is on {} copies",
    Hindrance.SHARED.value: "versions that nobody attached need {} contents",
}
LIMITS: Final = (
    "Ids, times and sizes stand in the ledger for good; so do commitments to what was erased, without their blinds.",
    "Copies outside this store were not searched: downloads, exports, backups and replicas.",
    "Neither were disks and write-ahead logs of a database server, nor objects that references point to.",
    "Versions made from what was erased were listed for the decision, but not searched for what they took over.",
    "A model that was trained on it may still reveal it.",
    "Names of projects, teams, registries, and aliases in registries, stay; so do values that nobody attached.",
)


@frozen
class Certificate:
    """A certificate as it was issued: what it says, and the blind that belongs to its commitment."""

    told: dict[str, Json]
    blind: str

    @property
    def sealed(self) -> str:
        """The commitment that the ledger holds."""
        return sha256(canonical.encode(self.to_json())).hexdigest()

    def to_json(self) -> dict[str, Json]:
        """Return the whole file."""
        return {"blind": self.blind, "certificate": self.told, "form": FORM}


def issue(store: Store, request_id: str) -> RequestRow:
    """Issue the certificate of an erasure that was verified, once; executed again, it gets another one."""
    row = requests.request(store.views, request_id)
    if row.stage in {Stage.CERTIFIED.value, Stage.CLOSED.value}:
        return row
    plan = planning.saved(store, request_id)
    if plan is None or row.stage != Stage.VERIFIED.value:
        msg = f"request {request_id} is {row.stage}: an erasure is certified once it was verified"
        raise InvalidValueError(msg)
    id_ = new_id()
    certificate = Certificate(_told(store, row, plan, id_), secrets.token_hex(32))
    (content,) = store.vault.put_many([SlotDraft(id_, "certificate", certificate.to_json())])

    def decide(steps: Steps) -> None:
        approvals.require_admin(steps.views, store.context, "certify erasures")
        steps.step(REQUEST, request_id, wanted.certify_erasure, id_, certificate.sealed, content)

    store.transact(Request("certify erasure", None, request_id), decide)
    if not plan.shared and not plan.told.get("left"):
        planning.forget(store, request_id)
    return requests.request(store.views, request_id)


def read(store: Store, request_id: str) -> Certificate:
    """Return the certificate of a request, checked against the ledger."""
    row = requests.request(store.views, request_id)
    found = None if row.certificate is None else store.vault.get_many([row.certificate]).get(row.certificate)
    if found is None:
        msg = f"request {request_id} is {row.stage} and has no certificate (any more)"
        raise NotFoundError(msg)
    certificate = parse(found)
    check(store, certificate)
    return certificate


def parse(value: Json) -> Certificate:
    """Read the content of a certificate's file; InvalidValueError if it is none."""
    if not isinstance(value, dict) or value.get("form") != FORM:
        msg = f"this is no certificate of the form {FORM}"
        raise InvalidValueError(msg)
    return Certificate(value["certificate"], value["blind"])


def check(store: Store, certificate: Certificate) -> int:
    """Return the number of the event that issued a certificate; ProofError if it is not what was issued."""
    for recorded in store.ledger.read(stream=StreamId(str(certificate.told.get("request_id")))):
        event = recorded.event
        if isinstance(event, CertificateIssued) and event.certificate_id == certificate.told.get("certificate_id"):
            if event.sealed == certificate.sealed:
                return recorded.seq
            break
    msg = "the ledger issued no such certificate for this request: it was changed, or belongs to another one"
    raise ProofError(msg)


def bundle(store: Store, request_id: str, folder: Path) -> Bundle:
    """Write the certificate into a folder as JSON and as a page, with the proofs that anybody can check."""
    head = store.ledger.head()
    certificate = read(store, request_id)
    seq = check(store, certificate)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / JSON_FILE).write_bytes(canonical.encode(certificate.to_json()))
    (folder / PAGE_FILE).write_text(page(certificate), "utf-8")
    (folder / PROOF_FILE).write_text(Prover.of(store).event(seq).render(), "utf-8")
    totals = {name: certificate.told[name] for name in ("found", "erased", "kept", "residual")}
    made = Made(REPORT, head, store.clock(), {"request_id": request_id}, totals)
    return bundles.write_bundle(store, folder, made, [Contents(name) for name in (JSON_FILE, PAGE_FILE, PROOF_FILE)])


def page(certificate: Certificate) -> str:
    """Return the certificate as a page without scripts, for a person to read or print."""
    rows = "".join(_row(name, value) for name, value in certificate.told.items())
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Certificate of erasure</title>\n'
        "<style>body{font:16px/1.5 sans-serif;max-width:48rem;margin:2rem auto;padding:0 1rem}"
        "th{text-align:left;vertical-align:top;padding-right:1rem}td{overflow-wrap:anywhere}</style></head>\n"
        f"<body><h1>Certificate of erasure</h1>\n<table>{rows}</table>\n"
        f"<p>Commitment in the ledger: <code>{certificate.sealed}</code></p></body></html>\n"
    )


def _row(name: str, value: Json) -> str:
    return f'<tr><th scope="row">{html.escape(name.replace("_", " "))}</th><td>{_cell(value)}</td></tr>\n'


def _cell(value: Json) -> str:
    match value:
        case dict():
            return f"<table>{''.join(_row(name, each) for name, each in value.items())}</table>"
        case list():
            return f"<ul>{''.join(f'<li>{_cell(each)}</li>' for each in value)}</ul>" if value else "none"
        case None:
            return "none"
        case _:
            return html.escape(str(value))


def _told(store: Store, row: RequestRow, plan: Plan, certificate_id: str) -> dict[str, Json]:
    scoped, after = _scoped(store, row.request_id), store.ledger.head()
    entries = sum(len(terms) for terms in plan.entries.values())
    verified: Any = plan.told.get("verified", {})
    return {
        "certificate_id": certificate_id,
        "request_id": row.request_id,
        "subject_id": row.subject_id,
        "controller": store.context.organisation,
        "ground": "GDPR Art. 17(1), on request of the data subject",
        "issued_at": clock.to_text(store.clock()),
        "received_at": clock.to_text(row.received_at),
        "verdict": row.verdict,
        "exemption": row.exemption,
        "approved_by": _approvers(store, row.request_id),
        "operator": store.context.actor,
        "found": row.found,
        "erased": row.erased,
        "kept": plan.kept,
        "residual": row.residual,
        "versions": len(plan.versions),
        "entries": entries,
        "whole_versions": len(plan.whole),
        "artifacts": len(plan.artifacts),
        "runs": len(plan.runs),
        "users": len(plan.users),
        "contents": len(plan.going),
        "shared": f"{len(plan.shared)} contents are shared with versions that nobody attached, and were kept",
        "disposals": [_disposal(each) for each in deleting.evidence(store.views, row.request_id)],
        "residuals": [*_residuals(store, row.request_id), *plan.told.get("residuals", [])],
        "left": len(plan.told.get("left", [])),
        "techniques": [
            "contents: deleted in every place, packs rewritten without them",
            "words of events: destroyed with their blinds, the commitment stays",
            "personal values: deleted, and rendered inaccessible by key destruction in backups without the key",
        ],
        "fences": {"contents": len(plan.going), "entries": entries, "subject": 1},
        "verified": {
            "how": "listed, read, searched where bytes lie, decrypted, looked for in the ledger and its rows",
            "canaries": plan.told.get("canaries", 0),
            **verified,
        },
        "log": {
            "origin": store.ledger.origin,
            "size_before": scoped,
            "root_before": store.ledger.root(scoped).hex(),
            "size_after": after.size,
            "root_after": after.root.hex(),
        },
        "tool": f"muniment {importlib.metadata.version('muniment')}",
        "limits": list(LIMITS),
    }


def _disposal(row: DisposalRow) -> Json:
    return {
        "disposal": row.disposal_id,
        "method": row.method,
        "verified_by": row.verified_by.split("+") if row.verified_by else [],
        "blobs": row.blobs,
        "copies": row.copies,
        "residual": row.residual,
    }


def _residuals(store: Store, request_id: str) -> Iterator[Json]:
    """Yield the copies that are left: where, why, and until when, as far as anybody said."""
    for row in deleting.residual_rows(store.views, request_id):
        if row.state == residuals.LEFT:
            ends_at = None if row.ends_at is None else clock.to_text(row.ends_at)
            why = WHY[row.why].format(row.copies)
            yield {"place": row.place or OWN_NAME, "why": why, "ends_at": ends_at, "residual": row.residual_id}


def _scoped(store: Store, request_id: str) -> int:
    """Return how many events there were when the scope was looked up last."""
    events = [recorded.event for recorded in store.ledger.read(stream=StreamId(request_id))]
    return max((event.size for event in events if isinstance(event, wanted.RequestScoped)), default=0)


def _approvers(store: Store, request_id: str) -> list[str]:
    rows = store.views.select(ProposalRow, act=Act.ERASE.value, target=request_id, order="proposed_at")
    return [row.approved_by for row in rows if row.approved_by is not None]
