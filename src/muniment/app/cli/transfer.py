"""Contents in and out: logging files, folders and references, fetching versions, checking their bytes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex

import click

from muniment.app import catalog, directory, runs
from muniment.app.catalog import Found
from muniment.app.cli import describe, frame
from muniment.app.cli.frame import command, store, watched
from muniment.app.cli.show import One, Shown, counted, human_size
from muniment.app.files import reference
from muniment.app.files.download import download, verify_folder, verify_stored
from muniment.app.files.staging import POLICIES, Policy, Staged, Staging
from muniment.app.files.walking import unreadable, walk
from muniment.app.log_artifact import Draft
from muniment.app.manifests import Written
from muniment.app.progress import Progress
from muniment.app.runs import RunDraft
from muniment.app.store import Store
from muniment.app.subjects import address
from muniment.app.upload import log_contents
from muniment.domain.errors import InvalidNameError, NotFoundError, TypeRefusedError
from muniment.domain.rows import ProjectRow, RunRow
from muniment.domain.run import RunState
from muniment.domain.values import LATEST, artifact_name

JOB_TYPE = "cli_put"


@command(
    examples=(
        "muniment artifact put -t dataset -n mnist ./data",
        "muniment artifact put -n digits/model -t model -a best model.pt",
        "muniment artifact put -n corpus file:///mnt/corpus",
    )
)
@click.option("--name", "-n", metavar="[[ENTITY/]PROJECT/]NAME", help="Its name; otherwise that of the file or folder.")
@click.option("--description", "-d", metavar="TEXT", help="What this version is.")
@click.option("--type", "-t", "type_", metavar="TYPE", default="dataset", show_default=True, help="Its type.")
@click.option(
    "--alias", "-a", "aliases", multiple=True, default=(LATEST,), show_default=True, help="An alias for it; repeat."
)
@click.option("--id", "run_key", metavar="RUN", help="The run to log it in; otherwise a new one.")
@click.option("--resume", is_flag=True, help="The run of --id must be there already.")
@click.option(
    "--skip_cache", "--skip-cache", is_flag=True, help="Accepted for W&B's sake; logging needs no cache here."
)
@click.option(
    "--policy",
    type=click.Choice(POLICIES),
    default="mutable",
    show_default=True,
    help="mutable: copy files while they are hashed; immutable: they will not change meanwhile.",
)
@click.argument("path")
def put(
    *,
    path: str,
    name: str | None,
    description: str | None,
    type_: str,
    aliases: tuple[str, ...],
    run_key: str | None,
    resume: bool,
    skip_cache: bool,
    policy: Policy,
) -> Shown:
    """Log a file, a folder, or a reference (a URI with ://) as the next version of an artifact.

    Content that a version has already makes no new version; its aliases move there.
    """
    del skip_cache
    if resume and run_key is None:
        msg = "--resume needs the run that is meant: --id RUN"
        raise click.UsageError(msg)
    opened = store()
    where = address(opened, name or _own_name(path))
    if ":" in (name or "") or where.registry is not None:
        msg = f"{name!r} is no name to log as — write [[entity/]project/]name, aliases with -a, and link it afterwards"
        raise InvalidNameError(msg)
    artifact_name(where.name)
    with Staging(directory.seen_by(opened, where.owner)) as staging, watched() as progress:
        staged = _staged(opened, staging, path, policy, progress)
        project = directory.create_project(opened, where.owner, where.project)

        def draft(written: Written) -> Draft:
            return Draft(
                name=where.name,
                type=type_,
                digest=written.digest,
                manifest=written.manifest,
                size=written.size,
                entries=written.entries,
                aliases=aliases,
                description=description,
                sources=reference.sources(each.entry for each in staged),
            )

        with _running(opened, project, run_key, must_exist=resume) as run:
            logged = log_contents(
                opened.acting(run=run.run_id), project, staged, draft, run_id=run.run_id, progress=progress
            )
    found = catalog.origin(opened.views, logged.version_id)
    values = {**describe.version(opened, found), "created": logged.created, "run": run.key}
    made = "logged" if logged.created else "nothing new, the same content is there already:"
    amount = f"{counted(values['entries'], 'file')}, {human_size(values['size'])}"
    return One(values, f"{made} {values['source']} ({amount}; {', '.join(values['aliases'])})")


@command(
    examples=(
        "muniment artifact get mnist:latest",
        "muniment artifact get --root ./model wandb-registry-model/digits:production",
    )
)
@click.option("--root", metavar="DIR", help="Where to; otherwise ./artifacts/<name:vN>.")
@click.option("--type", "type_", metavar="TYPE", help="The type it must have.")
@click.option("--path-prefix", metavar="PREFIX", help="Only entries whose path begins with this.")
@click.option("--allow-missing-references", is_flag=True, help="Warn, rather than fail, where a reference is gone.")
@click.argument("path")
def get(
    path: str, root: str | None, type_: str | None, path_prefix: str | None, allow_missing_references: bool
) -> Shown:
    """Download a version; every byte is verified.

    PATH is [entity/][project/]name[:alias] or [organization/]wandb-registry-<registry>/<collection>[:alias].
    """
    opened = store()
    found = frame.find(opened, path)
    if type_ is not None and found.artifact.type != type_:
        msg = f"{describe.source_name(found)} is a {found.artifact.type}, not a {type_} — leave out --type"
        raise TypeRefusedError(msg)
    runs.permit_download(opened, found)
    target = root or str(_default_root(opened, found))
    with watched() as progress:
        done = download(
            opened,
            found,
            target,
            path_prefix=path_prefix,
            allow_missing_references=allow_missing_references,
            progress=progress,
        )
    runs.downloaded(opened, found.version.version_id, entries=done.entries, size=done.size)
    values = {
        "name": describe.display_name(found),
        "source": describe.source_name(found),
        "root": done.root,
        "entries": done.entries,
        "size": done.size,
        "missing": list(done.missing),
    }
    return One(
        values,
        f"downloaded {values['source']} to {done.root} ({counted(done.entries, 'file')}, {human_size(done.size)})",
    )


@command(
    examples=(
        "muniment artifact verify mnist:latest",
        "muniment artifact verify mnist:latest --root ./artifacts/mnist:v3",
    )
)
@click.argument("name")
@click.option("--root", metavar="DIR", help="Compare this folder with the version, instead of the stored bytes.")
def verify(name: str, root: str | None) -> Shown:
    """Read every stored byte of a version and compare it with its digest, or compare a folder with the version."""
    opened = store()
    found = frame.find(opened, name)
    label = describe.source_name(found)
    with watched() as progress:
        if root is not None:
            verify_folder(opened, found, root, progress=progress)
            return One({"name": label, "root": root, "ok": True}, f"{root} is {label}")
        checked = verify_stored(opened, found, progress=progress)
    return One(
        {"name": label, "entries": checked, "ok": True}, f"{label}: {counted(checked, 'file')} read, each as it was"
    )


def _own_name(path: str) -> str:
    """Return the last part of a path or URI."""
    last = path.rstrip("/").rpartition("/")[2]
    return last if last not in {"", ".", ".."} else Path(path).resolve().name


def _staged(opened: Store, staging: Staging, path: str, policy: Policy, progress: Progress) -> list[Staged]:
    md5 = opened.config.text("digest") == "md5"
    if "://" in path:
        return [Staged(entry) for entry in reference.resolve(opened, path, md5=md5)]
    if os.path.isdir(path):  # noqa: PTH112 (text in, text out)
        return staging.add_files(walk(path), policy=policy, md5=md5, progress=progress)
    try:
        os.stat(path)  # noqa: PTH116
    except OSError as error:
        raise unreadable(path, error) from error
    return staging.add_files([(path, Path(path).name)], policy=policy, md5=md5, progress=progress)


@contextmanager
def _running(opened: Store, project: ProjectRow, key: str | None, *, must_exist: bool) -> Iterator[RunRow]:
    """Begin a run and end it, as failed if it comes to an end too early; a run that was going on goes on."""
    going_on = None
    if key is not None:
        try:
            going_on = runs.named(opened, project, key)
        except NotFoundError:
            if must_exist:
                raise
    run_key = key or token_hex(4)
    ours = going_on is None or going_on.state != RunState.RUNNING.value
    try:
        row = runs.start(opened, project, RunDraft(run_key, run_key, JOB_TYPE))
        yield row
        if ours:
            runs.finish(opened, row)
    except BaseException as error:
        if ours:
            state, code = runs.verdict(error)
            with suppress(NotFoundError):  # it had not begun
                runs.finish(opened, runs.named(opened, project, run_key), exit_code=code, state=state)
        raise


def _default_root(opened: Store, found: Found) -> Path:
    folder = opened.config["artifact_dir"]
    return Path(folder or "artifacts").expanduser() / describe.display_name(found)
