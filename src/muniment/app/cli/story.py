"""What things were made from, what happened to them, and what names meant back then."""

from __future__ import annotations

from collections.abc import Iterator

import click

from muniment.app import clock, pointers
from muniment.app.cli.frame import as_of_option, command, page_options, seq_at, store
from muniment.app.cli.show import Many, One, Shown, Values, printable
from muniment.app.listing import Paging
from muniment.app.pointers import Pointer
from muniment.app.store import Store
from muniment.app.subjects import address, subject, version_or_run
from muniment.app.telling import history as histories
from muniment.app.telling import lineage as lineages
from muniment.app.telling import lineage_forms as forms
from muniment.domain.errors import NotFoundError
from muniment.domain.rows import ArtifactRow, CollectionRow
from muniment.domain.values import ArtifactId, CollectionId

TABLE = ("name", "version", "set_at", "set_by", "seq")


@command(
    examples=(
        "muniment lineage mnist:latest",
        "muniment lineage wandb-registry-model/digits:production --up",
        "muniment lineage digits/runs/1a2b3c4d --depth 2 --json",
        "muniment lineage mnist:v3 --dot | dot -Tsvg -o lineage.svg",
    )
)
@click.argument("name")
@click.option("--up", is_flag=True, help="Only what it was made from.")
@click.option("--down", is_flag=True, help="Only what it led to.")
@click.option(
    "--depth", type=click.IntRange(1), metavar="N", default=lineages.DEPTH, help="How many steps in each direction."
)
@click.option("--dot", "form", flag_value="dot", help="Print it for Graphviz.")
@click.option("--mermaid", "form", flag_value="mermaid", help="Print it for Mermaid.")
@as_of_option
def lineage(name: str, up: bool, down: bool, depth: int, form: str | None, moment: str | None) -> Shown:
    """Show what a version or run was made from, and what was made from it.

    NAME is [entity/][project/]name[:alias], a name in a registry, or [entity/][project/]runs/<run>.
    """
    opened = store()
    at = seq_at(opened, moment)
    found = version_or_run(opened, name, at)
    both = up == down
    graph = lineages.graph(
        opened.views, found.id, up=depth if up or both else 0, down=depth if down or both else 0, at=at
    )
    if form is not None:
        return forms.to_dot(graph) if form == "dot" else forms.to_mermaid(graph)
    return One(forms.to_json(graph), forms.tree(graph))


@command(
    examples=(
        "muniment history mnist",
        "muniment history wandb-registry-model/digits --newest-first",
        "muniment history mnist:v3 --json",
    )
)
@click.argument("name")
@click.option("--newest-first", is_flag=True, help="The other way round.")
@page_options
@as_of_option
def history(name: str, newest_first: bool, limit: int, after: str | None, moment: str | None) -> Shown:
    """Show who did what to something, with the values before and after.

    NAME is that of an artifact, version, collection, registry, run, project, team or organization, or an id.
    """
    opened = store()
    at = seq_at(opened, moment)
    found = subject(opened, name, at)
    page = histories.of(opened, found.id, Paging(start=after, size=limit, descending=newest_first, at=at))
    rows = ({**act.to_json(), "text": str(act)} for act in page.items)
    return Many(rows, empty="nothing happened", cursor=page.next, line=_act)


def _act(row: Values) -> str:
    return "\n".join(printable(line) for line in row["text"].splitlines())


@command(
    "as-of",
    examples=(
        "muniment as-of 2026-03-03T12:00Z wandb-registry-model/digits:production",
        "muniment as-of 2026-03-03 wandb-registry-model",
        "muniment as-of 1200 mnist:latest mnist:best --json",
        "muniment as-of 2026-03-03",
    ),
)
@click.argument("moment")
@click.argument("names", nargs=-1)
def as_of(moment: str, names: tuple[str, ...]) -> Shown:
    """Say which versions names meant at some moment, and who had put them there.

    MOMENT is an ISO time or a seq. A NAME with an alias is that alias; an artifact, collection or registry stands for
    all aliases in it; no name for the aliases of all registries.
    """
    opened = store()
    at = seq_at(opened, moment)
    assert at is not None  # noqa: S101 (a moment was given)
    found = [each for name in names for each in _meant(opened, name, at)] if names else pointers.of_all(opened, at)
    rows = [
        {
            "name": each.name,
            "version": each.version,
            "digest": each.digest,
            "version_id": each.version_id,
            "set_at": clock.to_text(each.set_at),
            "set_by": each.set_by,
            "seq": each.seq,
        }
        for each in found
    ]
    return Many(rows, TABLE, f"no aliases at event {at}")


def _meant(opened: Store, name: str, at: int) -> Iterator[Pointer]:
    if ":" in name:
        yield pointers.of_name(opened, address(opened, name), at)
        return
    found = subject(opened, name, at)
    views = opened.views
    if found.kind == "registry":
        yield from pointers.of_registry(opened, found.id, at)
        return
    artifact = views.find(ArtifactRow, at=at, artifact_id=ArtifactId(found.id))
    collection = views.find(CollectionRow, at=at, collection_id=CollectionId(found.id))
    if artifact is not None:
        yield from pointers.of_artifact(opened, artifact, at)
    elif collection is not None:
        yield from pointers.of_collection(opened, collection, at)
    else:
        msg = f"{name!r} has no aliases: it is a {found.kind} — name an artifact, a collection or a registry"
        raise NotFoundError(msg)
