"""Requests of data subjects, from their arrival to the certificate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from muniment.app import clock
from muniment.app.cli import asked
from muniment.app.cli.asked import ONE_ID
from muniment.app.cli.frame import group, show_now, store, texts
from muniment.app.cli.show import Many, One, Shown, Values
from muniment.app.cli.trying import dry_run_option
from muniment.app.erasing import certificate, checking, data_subjects, requests
from muniment.app.erasing import executing as erasing_
from muniment.app.erasing.scoping import Scope
from muniment.app.store import Store
from muniment.domain.request import Exemption, Right, Stage, Verdict
from muniment.domain.rows import RequestRow

COLUMNS = ("request_id", "right", "subject_id", "stage", "due_at", "found", "erased", "residual")
one = click.argument("id_", metavar="REQUEST")
wait_option = click.option(
    "--wait",
    type=click.FloatRange(0),
    metavar="SECONDS",
    default=30.0,
    show_default=True,
    help="How long to wait for running uploads.",
)


@group(
    examples=("muniment request open erasure patient-17", f"muniment request erase {ONE_ID}", "muniment request list")
)
def request() -> None:
    """Handle what people ask for under the GDPR: their data, its erasure, its correction.

    An erasure goes from open over identify, scope and decide, which takes two people, to erase; no step can be skipped.
    """


@request.command(
    "open",
    examples=(
        "muniment request open erasure patient-17 --text - < letter.txt",
        "muniment request open access patient-17",
    ),
)
@click.argument("right", type=click.Choice([each.value for each in Right]))
@click.argument("who", metavar="SUBJECT")
@click.option(
    "--text", metavar="TEXT|-", help="What the person wrote; - reads it from the input. Goes with the person."
)
@click.option(
    "--received", metavar="TIME", help="When it arrived, if that was earlier: an ISO time such as 2026-03-03."
)
def open_(right: str, who: str, text: str | None, received: str | None) -> Shown:
    """Take a request down; it is due one calendar month after it arrived."""
    opened = store()
    row = requests.receive(
        opened,
        Right(right),
        data_subjects.named(opened, who).subject_id,
        text=asked.said(text),
        received_at=None if received is None else clock.from_text(received),
    )
    return One(_request(row), f"{row.request_id} is due by {clock.to_text(row.due_at)[:10]}")


@request.command("identify", examples=(f"muniment request identify {ONE_ID} --how 'passport shown in person'",))
@one
@click.option("--how", metavar="TEXT|-", required=True, help="How the identity was seen; - reads it from the input.")
def identify(id_: str, how: str) -> Shown:
    """Say that who asks is the person, and how that was seen."""
    return _moved(requests.identify(store(), id_, asked.said(how) or ""))


@request.command("extend", examples=(f"muniment request extend {ONE_ID} --to 2026-06-03 --reason 'many files'",))
@one
@click.option("--to", metavar="TIME", required=True, help="The new deadline, three months after it arrived at most.")
@click.option("--reason", metavar="TEXT", required=True, help="Why, which the person must be told.")
def extend(id_: str, to: str, reason: str) -> Shown:
    """Put the deadline off."""
    row = requests.extend(store(), id_, clock.from_text(to), reason)
    return One(_request(row), f"{id_} is due by {clock.to_text(row.due_at)[:10]}")


@request.command("scope", examples=(f"muniment request scope {ONE_ID}", f"muniment request scope {ONE_ID} --json"))
@one
def scope(id_: str) -> Shown:
    """List what the request concerns, what was made from it, who else holds the same bytes, and what nobody tagged.

    Only what is attached to the person will be erased. What is derived or holds the same bytes is for you to decide:
    attach it (`muniment subject attach`), and scope again.
    """
    found = requests.scope(store(), id_)
    return One(_scope_values(found), "\n".join(_scope_lines(found)))


@request.command(
    "decide",
    examples=(
        f"muniment request decide {ONE_ID} approved",
        f"muniment request decide {ONE_ID} partial --keep {ONE_ID} --exemption '17(3)(b)' --ground 'tax law, 10 years'",
        f"muniment request decide {ONE_ID} refused --exemption '17(3)(e)' --ground 'a lawsuit is pending'",
    ),
)
@one
@click.argument("verdict", type=click.Choice([each.value for each in Verdict]))
@click.option(
    "--keep", "kept", metavar="ID", multiple=True, help="What is kept, by its id in the scope; once for each."
)
@click.option("--exemption", type=click.Choice([each.value for each in Exemption]), help="Which letter of Art. 17(3).")
@click.option("--ground", metavar="TEXT|-", help="Why, in words; - reads it from the input.")
def decide(id_: str, verdict: str, kept: tuple[str, ...], exemption: str | None, ground: str | None) -> Shown:
    """Decide what is done. For an erasure another admin approves first: `muniment approval propose erase REQUEST`."""
    row = requests.decide(
        store(),
        id_,
        Verdict(verdict),
        exemption=None if exemption is None else Exemption(exemption),
        ground=asked.said(ground),
        kept=kept,
    )
    return _moved(row)


@request.command("fence", examples=(f"muniment request fence {ONE_ID}",))
@one
def fence(id_: str) -> Shown:
    """Let nothing of it come back from now on, without erasing it yet."""
    opened = store()
    erasing_.Eraser(opened, id_).fence()
    return _moved(requests.request(opened.views, id_))


@request.command("execute", examples=(f"muniment request execute {ONE_ID}",))
@one
@wait_option
@dry_run_option
def execute(id_: str, wait: float, dry_run: bool) -> Shown:
    """Erase what was decided, or say that what was asked for was done; can be repeated if it is interrupted."""
    opened = store()
    if dry_run:
        return _tried(opened, id_)
    if requests.request(opened.views, id_).right == Right.ERASURE.value:
        return _moved(erasing_.Eraser(opened, id_, wait).execute())
    return _moved(requests.execute(opened, id_))


@request.command(
    "verify",
    examples=(
        f"muniment request verify {ONE_ID}",
        f"muniment request verify {ONE_ID} --canary - --in ~/.muniment < words.txt",
    ),
)
@one
@click.option("--canary", "canaries", metavar="TEXT", multiple=True, help="A word to look for; - reads one a line.")
@click.option("--in", "places", metavar="PATH", multiple=True, help="Where to look for it; otherwise the whole store.")
@click.pass_context
def verify(context: click.Context, id_: str, canaries: tuple[str, ...], places: tuple[str, ...]) -> None:
    """Look for what was erased by other ways than those that erased it. The exit status is 1 if any was found."""
    if places and not canaries:
        msg = "--in says where to look for words; give them with --canary"
        raise click.UsageError(msg)
    opened = store()
    found = checking.verify(opened, id_, canaries=asked.words(canaries), places=places or _places(opened))
    values = {"findings": list(found.findings), "bytes": found.scanned, "limits": list(found.limits)}
    text = "\n".join([*found.findings, *(f"note: {line}" for line in found.limits)])
    verdict = (
        f"found {len(found.findings)} times: run `muniment request execute {id_}` again"
        if found.findings
        else "verified absent in the listed copies"
    )
    show_now(context, One(values, f"{text}\n{verdict}".strip()))
    if found.findings:
        context.exit(1)


@request.command(
    "erase", examples=(f"muniment request erase {ONE_ID}", f"muniment request erase {ONE_ID} -o certificate")
)
@one
@wait_option
@click.option("--canary", "canaries", metavar="TEXT", multiple=True, help="A word to look for; - reads one a line.")
@click.option(
    "--output", "-o", "folder", metavar="FOLDER", type=click.Path(path_type=Path), help="Write the certificate there."
)
@dry_run_option
@click.pass_context
def erase(
    context: click.Context, id_: str, wait: float, canaries: tuple[str, ...], folder: Path | None, dry_run: bool
) -> None:
    """Lead a request that was decided to its end: fence, erase, verify, certify."""
    opened = store()
    if dry_run:
        show_now(context, _tried(opened, id_))
        return
    row = erasing_.Eraser(opened, id_, wait).execute()
    if row.stage == Stage.EXECUTED.value:
        found = checking.verify(opened, id_, canaries=asked.words(canaries), places=_places(opened))
        if found.findings:
            show_now(context, One(_request(requests.request(opened.views, id_)), "\n".join(found.findings)))
            context.exit(1)
    row = certificate.issue(opened, id_)
    lines = [f"erased {row.erased} of {row.found}, residual {row.residual}: certificate {row.certificate_id}"]
    if folder is not None:
        certificate.bundle(opened, id_, folder)
        lines.append(f"written to {folder}")
    show_now(context, One(_request(row), "\n".join(lines)))


@request.command("certificate", examples=(f"muniment request certificate {ONE_ID} -o certificate",))
@one
@click.option(
    "--output",
    "-o",
    "folder",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Write it there, with its proofs.",
)
def certificate_(id_: str, folder: Path | None) -> Shown:
    """Print the certificate of an erasure, or write it into a folder that anybody can check."""
    opened = store()
    if folder is not None:
        certificate.bundle(opened, id_, folder)
        return One({"folder": str(folder)}, f"written to {folder}; check it with: muniment verify {folder}")
    return One(certificate.read(opened, id_).told)


@request.command("close", examples=(f"muniment request close {ONE_ID}",))
@one
def close(id_: str) -> Shown:
    """End a request, once the person was told what came of it."""
    return _moved(requests.close(store(), id_))


@request.command("list", examples=("muniment request list", "muniment request list --all --json"))
@click.option("--all", "everything", is_flag=True, help="Also those that are closed.")
def listed(everything: bool) -> Shown:
    """List the requests that are not closed, the one that is due first in front."""
    rows = requests.listed(store().views, everything=everything)
    return Many([_request(row) for row in rows], COLUMNS, "no requests")


@request.command("show", examples=(f"muniment request show {ONE_ID}", f"muniment request show {ONE_ID} --reveal"))
@one
@click.option("--reveal", is_flag=True, help="Show what the person wrote, and the ground of the decision.")
def show(id_: str, reveal: bool) -> Shown:
    """Show how far a request is."""
    opened = store()
    row = requests.request(opened.views, id_)
    values = dict(_request(row))
    if reveal:
        values["text"], values["ground"] = texts(opened, row.text, row.ground)
    return One(values)


def _request(row: RequestRow) -> Values:
    values: dict[str, Any] = {
        "request_id": row.request_id,
        "right": row.right,
        "subject_id": row.subject_id,
        "stage": row.stage,
        "received_at": clock.to_text(row.received_at),
        "due_at": clock.to_text(row.due_at),
        "verdict": row.verdict,
        "exemption": row.exemption,
        "kept": (row.kept or "").split("\n") if row.kept else [],
        "found": row.found,
        "erased": row.erased,
        "residual": row.residual,
        "certificate_id": row.certificate_id,
    }
    return values


def _tried(opened: Store, id_: str) -> One:
    """Return what erasing would take away."""
    plan = erasing_.Eraser(opened, id_).tried()
    values = {
        "found": plan.found,
        "kept": plan.kept,
        "entries": sum(map(len, plan.entries.values())),
        "versions": len(plan.whole),
        "contents": len(plan.going),
        "shared": len(plan.shared),
        "dry_run": True,
    }
    what = f"{values['entries']} entries and {values['versions']} whole versions, {values['contents']} contents"
    return One(values, f"{what} would be erased, {values['shared']} shared contents stay\nnothing was done")


def _moved(row: RequestRow) -> One:
    return One(_request(row), f"{row.request_id} is {row.stage}")


def _places(opened: Store) -> tuple[str, ...]:
    """Return where the store lies, as far as it can be searched byte by byte from here."""
    blobs = opened.config["blobs"]
    return (str(opened.config.home), *([blobs] if blobs and (blobs.startswith("s3://") or "://" not in blobs) else []))


def _scope_values(found: Scope) -> Values:
    return {
        "size": found.size,
        "items": [{"kind": item.kind, "id": item.id, "name": item.name, "path": item.path} for item in found.items],
        "derived": [{"id": item.id, "name": item.name} for item in found.derived],
        "same_bytes": [{"version_id": each.version_id, "path": each.path} for each in found.elsewhere],
        "untagged": found.untagged,
        "unknown": list(found.unknown),
        "cut": found.cut,
    }


def _scope_lines(found: Scope) -> list[str]:
    lines = [f"{item.id}  {item.kind}  {item.name}{f'  {item.path}' if item.path else ''}" for item in found.items]
    lines += [f"derived, not attached: {item.name}" for item in found.derived]
    lines += [f"same bytes, not attached: version {each.version_id}  {each.path}" for each in found.elsewhere]
    more = " at least" if found.cut else ""
    totals = f"{len(found.items)} things, {len(found.derived)} derived versions{more}, {len(found.elsewhere)} copies"
    return [*lines, f"{totals}; {found.untagged} versions are attached to nobody: they may hold more"]
