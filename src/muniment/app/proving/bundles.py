"""Bundles: a report's files with all that an outsider needs to check them, and the event that says it was made.

``docs/format/bundle.md`` says what lies in the folder.
"""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from muniment.app import canonical, clock, kit
from muniment.app.proving.proofs import Prover, shown
from muniment.app.store import Store
from muniment.app.transact import Request, Steps, new_id
from muniment.domain.checkpoint import SignedNote, log_name
from muniment.domain.errors import InvalidValueError, NotFoundError, ProofError, StorageError
from muniment.domain.fact import Shown
from muniment.domain.ports import Head
from muniment.domain.proof_file import InclusionFile
from muniment.domain.report import REPORT, ReportGenerated, generate
from muniment.domain.values import Digest, Json, Micros

MANIFEST: Final = "manifest.json"
NOTE: Final = "checkpoint.note"
PROOF: Final = "report.tlog-proof"
README: Final = "README.txt"
RESERVED: Final = frozenset({MANIFEST, NOTE, PROOF, README, *kit.FILES})
FORM: Final = "muniment-bundle/v1"
RECORDED: Final = "report.generated.1"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_BLOCK: Final = 1 << 20


@frozen
class Contents:
    """One file of a report, which lies in the bundle's folder already; ``rows`` is ``None`` where it has none."""

    name: str
    rows: int | None = None


@frozen
class Made:
    """A report that was made: its name, what it was asked for, when, of which ledger, and totals to check it by.

    Numbers in *parameters* and *totals* are integers; anything else is text. ``head`` is that of the ledger whose
    events the report tells of: take it before reading the first one, and read no later event.
    """

    report: str
    head: Head
    generated_at: Micros
    parameters: Mapping[str, Json]
    totals: Mapping[str, Json]


@frozen
class Bundle:
    """A bundle that was written: its folder, the id of the report, and the event that says that it was made."""

    folder: Path
    report_id: str
    seq: int
    manifest: Digest


def write_bundle(store: Store, folder: Path, made: Made, files: Sequence[Contents]) -> Bundle:
    """Complete the folder that holds a report's files: manifest, ``ReportGenerated`` and its proof, checkpoint, kit.

    Names are plain (letters, digits, ``._-``), each once, and none that a bundle has anyway: else InvalidValueError.
    A file that is not there is NotFoundError. The event is recorded last but for the proof, so a bundle that could not
    be written leaves none.
    """
    _check_names(files)
    report_id = new_id()
    listed = [_listed(folder, each) for each in sorted(files, key=lambda each: each.name)]
    told = _told(report_id, made, listed)
    digest = Digest(sha256(canonical.encode(told)).hexdigest())
    log = {"origin": log_name(store.ledger.origin), "size": made.head.size, "root": made.head.root.hex()}
    _write(folder, MANIFEST, canonical.encode({**told, "log": log}))
    _write(folder, README, _readme(made).encode())
    for name in kit.FILES:
        _write(folder, name, kit.content(name))
    seq = _record(store, report_id, made, digest)
    prover = Prover.of(store)
    _write(folder, NOTE, prover.note.render().encode())
    _write(folder, PROOF, prover.event(seq, words=True).render().encode())
    return Bundle(folder, report_id, seq, digest)


@frozen
class Checked:
    """A bundle whose parts fit: its checkpoint, which somebody must vouch for, its event, and a line that says so."""

    note: SignedNote
    event: Shown
    text: str


def check(folder: Path) -> Checked:
    """Check that the parts of a bundle fit; ProofError names the first that does not. Signatures are not looked at."""
    manifest = canonical.decode(_read(folder, MANIFEST), "the manifest")
    if not isinstance(manifest, dict) or manifest.get("form") != FORM:
        msg = f"the manifest is not of the form {FORM} — upgrade Muniment, or give the folder of a bundle"
        raise InvalidValueError(msg)
    _check_files(folder, manifest["files"])
    note = SignedNote.parse(_read(folder, NOTE).decode())
    proof = InclusionFile.parse(_read(folder, PROOF).decode())
    event = shown(proof)
    log = manifest.pop("log")
    told = sha256(canonical.encode(manifest)).hexdigest()
    words = event.words or {}
    made = (log["origin"], event.facts.get("size"), event.facts.get("root"))
    for holds, why in (
        (proof.note == note, "the proof leads to another checkpoint than the bundle's"),
        (event.type == RECORDED and event.stream == manifest["report_id"], "the proof is of another report"),
        (made == (proof.checkpoint.origin, log["size"], log["root"]), "the manifest names another ledger"),
        (words.get("manifest") == told, "the manifest was changed: it is not the one that was recorded"),
        (words.get("report") == manifest["report"], "the manifest names another report"),
    ):
        if not holds:
            msg = f"{why} — do not trust this bundle"
            raise ProofError(msg)
    report, files = manifest["report"], len(manifest["files"])
    return Checked(note, event, f"report {report} of the ledger's first {log['size']} events, {files} files")


def _check_files(folder: Path, files: Sequence[Mapping[str, Json]]) -> None:
    names = {each["name"] for each in files}
    more = sorted({path.name for path in folder.iterdir()} - names - RESERVED)
    if more:
        msg = f"the folder holds {more[0]}, which the manifest does not list"
        raise ProofError(msg)
    for each in files:
        if not _NAME.fullmatch(each["name"]) or _listed(folder, Contents(each["name"], each["rows"])) != dict(each):
            msg = f"the file {each['name']} was changed: it is not the one that was reported"
            raise ProofError(msg)


def _read(folder: Path, name: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except OSError as error:
        msg = f"the bundle's {name} cannot be read ({error.strerror}) — give the folder of a bundle"
        raise StorageError(msg) from error


def _check_names(files: Sequence[Contents]) -> None:
    names = [each.name for each in files]
    for name in names:
        if not _NAME.fullmatch(name) or name in RESERVED or names.count(name) > 1:
            msg = f"{name!r} cannot be a file of a bundle, or is there twice — use letters, digits, and . _ -"
            raise InvalidValueError(msg)


def _listed(folder: Path, each: Contents) -> dict[str, Json]:
    hashed, size = sha256(), 0
    try:
        with (folder / each.name).open("rb") as file:
            while block := file.read(_BLOCK):
                hashed.update(block)
                size += len(block)
    except FileNotFoundError as error:
        msg = f"the bundle has no file {each.name} — write it into its folder first"
        raise NotFoundError(msg) from error
    return {"name": each.name, "bytes": size, "rows": each.rows, "sha256": hashed.hexdigest()}


def _told(report_id: str, made: Made, files: Sequence[Json]) -> dict[str, Json]:
    """Return the manifest without the part that says of which ledger it is."""
    return {
        "control_totals": dict(made.totals),
        "files": list(files),
        "form": FORM,
        "generated_at": clock.to_text(made.generated_at),
        "parameters": dict(made.parameters),
        "report": made.report,
        "report_id": report_id,
        "tool": f"muniment {importlib.metadata.version('muniment')}",
    }


def _record(store: Store, report_id: str, made: Made, digest: Digest) -> int:
    event = ReportGenerated(made.head.size, Digest(made.head.root.hex()), made.report, digest)

    def decide(steps: Steps) -> Any:  # noqa: ANN401 (JSON)
        steps.step(REPORT, report_id, generate, event)
        return report_id

    receipt = store.transact(Request("report", [report_id, digest], report_id), decide)
    if receipt.first_seq is None:
        msg = "the report was not recorded — try again"
        raise StorageError(msg)
    return receipt.first_seq


def _readme(made: Made) -> str:
    return (
        f"The report {made.report} of a Muniment ledger, and all that is needed to check it without Muniment.\n"
        "\n"
        "  python3 verify_muniment.py . --key KEY     checks everything; needs Python 3.9 or newer, nothing else\n"
        "  sh verify.sh . KEY                         checks the same with openssl, sha256sum and base64\n"
        "\n"
        "KEY is the verifier key of the ledger (muniment/...+...+...). Get it from its owner by another way than this\n"
        "folder: whoever could replace the folder could replace a key in it, and these two programs too. Compare them\n"
        "with those of your own copy of Muniment (muniment kit).\n"
        "\n"
        "What a green verdict means, and what it does not: docs/security.md of Muniment.\n"
    )


def _write(folder: Path, name: str, content: bytes) -> None:
    try:
        (folder / name).write_bytes(content)
    except OSError as error:
        msg = f"the bundle cannot be written into {folder} ({error.strerror}) — name another folder"
        raise StorageError(msg) from error
