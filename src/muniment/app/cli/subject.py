"""Data subjects: the people whom stored things are about."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import click

from muniment.app import clock, directory, subjects
from muniment.app.cli import asked
from muniment.app.cli.asked import ONE_ID, STDIN
from muniment.app.cli.frame import group, store, texts
from muniment.app.cli.show import Many, One, Shown, Values
from muniment.app.cli.trying import acted_on, dry_run_option, tried
from muniment.app.erasing import data_subjects, scoping
from muniment.app.store import Store
from muniment.domain.data_subject import Standing, TargetKind
from muniment.domain.errors import InvalidValueError, NotFoundError
from muniment.domain.rows import ArtifactRow, DataSubjectRow, RunRow, VersionRow
from muniment.domain.values import VersionId

COLUMNS = ("subject_id", "standing", "targets", "entries", "registered_at", "request_id")
USERS = "users/"
entries_option = click.option(
    "--entries", metavar="FILE|PATTERN", help="Only entries: a file with a path a line, - for the input, or a pattern."
)


@group(
    examples=("muniment subject register - < who.txt", f"muniment subject attach {ONE_ID} scans:v3 --entries '*/17/*'")
)
def subject() -> None:
    """Say which stored things are about which person, so that they can be found and erased.

    A person goes by a random id; what identifies them is kept apart, under a key of its own. Wherever a SUBJECT is
    asked for, what identifies them does too.
    """


@subject.command("register", examples=("muniment subject register - < who.txt", "muniment subject register patient-17"))
@click.argument("identity")
def register(identity: str) -> Shown:
    """Make a person known by what identifies them to you (- reads it from the input) and print their id.

    The same person registered again has the same id.
    """
    opened = store()
    row = data_subjects.register(opened, asked.said(identity) or "")
    return One(_subject(opened, row), row.subject_id)


@subject.command(
    "attach",
    examples=(
        f"muniment subject attach {ONE_ID} scans:v3",
        f"muniment subject attach {ONE_ID} scans:v3 --entries 'patients/17/*'",
        f"muniment subject attach {ONE_ID} scans:v3 --entries paths.txt",
        f"muniment subject attach {ONE_ID} --same-bytes",
    ),
)
@click.argument("who", metavar="SUBJECT")
@click.argument("name", required=False)
@entries_option
@click.option("--same-bytes", is_flag=True, help="To every entry that holds the same bytes as one that is attached.")
def attach(who: str, name: str | None, entries: str | None, same_bytes: bool) -> Shown:
    """Say that an artifact, a version, a run, or entries of a version are about a person.

    An artifact is attached with all versions that it has and will have. To attach what is derived from it is up to
    you: `muniment request scope` lists it. Somebody who acted here and has no role any more is users/<login>: their
    name can be erased, and what they did stays without it.
    """
    opened = store()
    row = data_subjects.named(opened, who)
    if same_bytes == (name is not None) or (same_bytes and entries):
        msg = "give the NAME of what to attach, or --same-bytes"
        raise click.UsageError(msg)
    if same_bytes:
        count = data_subjects.attach_same(opened, row.subject_id)
    elif entries is not None:
        version_id = _version(opened, str(name))
        count = data_subjects.attach_entries(opened, row.subject_id, version_id, _paths(opened, version_id, entries))
    else:
        count = int(data_subjects.attach(opened, row.subject_id, *_target(opened, str(name))))
    return One({"subject_id": row.subject_id, "attached": count}, f"attached {count} more to {row.subject_id}")


@subject.command("detach", examples=(f"muniment subject detach {ONE_ID} scans:v3 --entries 'patients/17/*'",))
@click.argument("who", metavar="SUBJECT")
@click.argument("name")
@entries_option
@dry_run_option
def detach(who: str, name: str, entries: str | None, dry_run: bool) -> Shown:
    """Say that something is not about a person; only an admin of the organization may."""
    opened = store()
    row = data_subjects.named(opened, who)
    acted = acted_on(opened, dry_run=dry_run)
    if entries is None:
        count = int(data_subjects.detach(acted, row.subject_id, *_target(opened, name)))
    else:
        version_id = _version(opened, name)
        count = data_subjects.detach_entries(acted, row.subject_id, version_id, _paths(opened, version_id, entries))
    values = {"subject_id": row.subject_id, "detached": count}
    return tried(acted) or One(values, f"detached {count} from {row.subject_id}")


@subject.command("list", examples=("muniment subject list", "muniment subject list --standing erased --json"))
@click.option(
    "--standing",
    type=click.Choice([each.value for each in Standing if each is not Standing.UNKNOWN]),
    help="Only these.",
)
def listed(standing: str | None) -> Shown:
    """List the data subjects, by their ids."""
    opened = store()
    rows = data_subjects.listed(opened.views, standing)
    return Many([_subject(opened, row) for row in rows], COLUMNS, "no data subjects")


@subject.command("show", examples=(f"muniment subject show {ONE_ID}", f"muniment subject show {ONE_ID} --reveal"))
@click.argument("who", metavar="SUBJECT")
@click.option("--reveal", is_flag=True, help="Show who it is.")
def show(who: str, reveal: bool) -> Shown:
    """Show what is attached to a person."""
    opened = store()
    row = data_subjects.named(opened, who)
    items = scoping.items(opened, data_subjects.attached(opened.views, row.subject_id))
    values = dict(_subject(opened, row))
    if reveal:
        values["identity"] = texts(opened, row.identity)[0]
    values["attached"] = [f"{item.kind} {item.name}{f' {item.path}' if item.path else ''}" for item in items]
    return One(values)


def _subject(opened: Store, row: DataSubjectRow) -> Values:
    found = data_subjects.attached(opened.views, row.subject_id)
    return {
        "subject_id": row.subject_id,
        "standing": row.standing,
        "targets": len(found.targets),
        "entries": len(found.entries),
        "registered_at": clock.to_text(row.registered_at),
        "request_id": row.request_id,
    }


def _target(opened: Store, name: str) -> tuple[TargetKind, str]:
    if name.startswith(USERS):
        return TargetKind.USER, directory.known_principal(opened, name.removeprefix(USERS))
    found = subjects.subject(opened, name)
    kind = found.kind if found.kind != "id" else _kind_of(opened, found.id)
    if kind not in {each.value for each in TargetKind}:
        msg = f"{name!r} is a {kind} — attach artifacts, versions and runs (runs/<run>), or a user (users/<login>)"
        raise InvalidValueError(msg)
    return TargetKind(kind), found.id


def _kind_of(opened: Store, id_: str) -> str:
    views = opened.views
    if views.find(VersionRow, version_id=id_) is not None:
        return TargetKind.VERSION.value
    if views.find(ArtifactRow, artifact_id=id_) is not None:
        return TargetKind.ARTIFACT.value
    if views.find(RunRow, run_id=id_) is not None:
        return TargetKind.RUN.value
    msg = f"there is no artifact, version or run {id_}"
    raise NotFoundError(msg)


def _version(opened: Store, name: str) -> VersionId:
    found = subjects.version_or_run(opened, name)
    return VersionId(found.id)


def _paths(opened: Store, version_id: VersionId, entries: str) -> list[str]:
    """Return the paths that a file lists or a pattern fits."""
    if entries == STDIN:
        return _lines(sys.stdin.read())
    if Path(entries).is_file():
        return _lines(Path(entries).read_text("utf-8"))
    found = list(_fitting(opened, version_id, entries))
    if not found:
        msg = f"no entry fits {entries!r}, and there is no such file — * stands for anything, slashes too"
        raise NotFoundError(msg)
    return found


def _lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line]


def _fitting(opened: Store, version_id: VersionId, pattern: str) -> Iterator[str]:
    manifest = data_subjects.readable(opened, version_id)
    entries = () if manifest is None else manifest.entries()
    return (entry.path for entry in entries if fnmatchcase(entry.path, pattern))
