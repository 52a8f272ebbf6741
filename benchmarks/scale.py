"""What one command costs at 1,000 and at 100,000 versions or names: in process, median CPU, both sizes in turn.

::

    python benchmarks/scale.py [--large 100000] [--rounds 200] [--write]

A row is a command; its ratio is the median at the large size over the median at 1,000, which should be at most 1.2.
``--write`` puts the table into docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from attrs import frozen

from muniment.app import bootstrap, catalog, config, directory, lifecycle, link_artifact, names, registries
from muniment.app.lifecycle import Edits
from muniment.app.log_artifact import Draft, log
from muniment.app.store import Store
from muniment.app.transact import Request, Steps, new_id
from muniment.domain.alias import AliasMoved
from muniment.domain.artifact import ArtifactCreated, VersionCreated
from muniment.domain.rows import ArtifactRow, ProjectRow, VersionRow
from muniment.domain.values import (
    ArtifactId,
    Digest,
    Ttl,
    VersionId,
    alias_stream,
    numbering_stream,
)
from report import machine, replace_table

SMALL = 1_000
BATCH = 500
BAR = 1.2
DAY = 86_400_000_000


@frozen
class Filled:
    """A store with *size* versions of one artifact, or *size* artifacts of one version each."""

    store: Store
    project: ProjectRow
    size: int
    of: str

    def name(self, number: int) -> str:
        """Return the artifact that measurement *number* is about."""
        return "many" if self.of == "versions" else f"name-{number * 7919 % self.size:07}"

    def address(self, number: int, alias: str) -> names.Address:
        """Return a name as a user would write it, read."""
        return names.parse(
            f"{self.name(number)}:{alias}", entity="local", project="uncategorized", organisation="local"
        )

    def found(self, number: int) -> catalog.Found:
        """Return the version that measurement *number* is about."""
        index = number * 7919 % self.size if self.of == "versions" else 0
        return catalog.find(self.store.views, self.address(number, f"v{index}"))


def digest() -> Digest:
    """Return a digest that nothing has."""
    return Digest(new_id() + new_id())


def fill(folder: Path, size: int, of: str) -> Filled:
    """Make a store and fill it, many events in a command."""
    store = bootstrap.open_store(config.load({}, home=str(folder)))
    project = directory.project(store.views, "local", "uncategorized")
    if of == "versions":
        _versions(store, project, size)
    else:
        _names(store, project, size)
    registries.create_collection(store, directory.registry(store.views, "local", "dataset"), "target", "dataset")
    return Filled(store, project, size, of)


def _versions(store: Store, project: ProjectRow, size: int) -> None:
    artifact = ArtifactId(new_id())
    created = ArtifactCreated(project.project_id, "many", "dataset")
    store.transact(Request("fill"), lambda steps: steps.append(artifact, created))
    for _ in range(size // BATCH):
        events = [VersionCreated(VersionId(new_id()), digest(), digest(), 1, 1) for _ in range(BATCH)]
        aliased = AliasMoved(events[-1].version_id, None, f"alias-{new_id()}")

        def decide(steps: Steps, events: list[VersionCreated] = events, aliased: AliasMoved = aliased) -> None:
            steps.append(numbering_stream(artifact), *events)
            steps.append(alias_stream(artifact, new_id()), aliased)

        store.transact(Request("fill"), decide)


def _names(store: Store, project: ProjectRow, size: int) -> None:
    for start in range(0, size, BATCH):

        def decide(steps: Steps, start: int = start) -> None:
            for number in range(start, start + BATCH):
                artifact = ArtifactId(new_id())
                steps.append(artifact, ArtifactCreated(project.project_id, f"name-{number:07}", "dataset"))
                version = VersionCreated(VersionId(new_id()), digest(), digest(), 1, 1)
                steps.append(numbering_stream(artifact), version)
                steps.append(alias_stream(artifact, new_id()), AliasMoved(version.version_id, None, "first"))

        store.transact(Request("fill"), decide)


def log_version(filled: Filled, number: int) -> None:
    """Log one more version."""
    draft = Draft(filled.name(number), "dataset", digest(), digest(), 1, 1)
    log(filled.store, filled.project, draft)


def move_alias(filled: Filled, number: int) -> None:
    """Put an alias on another version."""
    lifecycle.edit(filled.store, filled.found(number), Edits(add_aliases=("production",)))


def set_ttl(filled: Filled, number: int) -> None:
    """Set the TTL of a version."""
    lifecycle.edit(filled.store, filled.found(number), Edits(ttl=Ttl.after(DAY + number)))


def link(filled: Filled, number: int) -> None:
    """Link a version into a registry."""
    target = names.parse("wandb-registry-dataset/target", entity="local", project="", organisation="local")
    link_artifact.link(filled.store, filled.found(number), target, ["staging"])


def by_alias(filled: Filled, number: int) -> None:
    """Look a version up by an alias."""
    alias = "production" if filled.of == "versions" else "first"
    catalog.find(filled.store.views, filled.address(number, alias))


def by_index(filled: Filled, number: int) -> None:
    """Look a version up by its number."""
    filled.found(number)


def first_page(filled: Filled, number: int) -> None:
    """List the first 50 names, or the newest 50 versions."""
    del number
    views = filled.store.views
    if filled.of == "names":
        views.select(ArtifactRow, project_id=filled.project.project_id, order="name", limit=50)
        return
    artifact = catalog.artifact_named(views, filled.project, "many")
    views.select(VersionRow, artifact_id=artifact.artifact_id, order="index", descending=True, limit=50)


COMMANDS: dict[str, Callable[[Filled, int], None]] = {
    "log": log_version,
    "alias move": move_alias,
    "look-up by alias": by_alias,
    "look-up by vN": by_index,
    "link": link,
    "set TTL": set_ttl,
    "first page of a list": first_page,
}


def measure(small: Filled, large: Filled, command: Callable[[Filled, int], None], rounds: int) -> tuple[float, float]:
    """Return the median CPU seconds at both sizes, measured in turn."""
    taken: dict[int, list[float]] = {small.size: [], large.size: []}
    for number in range(rounds):
        for filled in (small, large):
            before = time.process_time()
            command(filled, number)
            taken[filled.size].append(time.process_time() - before)
    return statistics.median(taken[small.size]), statistics.median(taken[large.size])


def table(large: int, rounds: int) -> Iterator[str]:
    """Yield the lines of the table."""
    yield f"| command | of | 1,000 | {large:,} | ratio | bar |"
    yield "|---|---|---|---|---|---|"
    for of in ("versions", "names"):
        with tempfile.TemporaryDirectory() as folder:
            stores = [fill(Path(folder) / str(size), size, of) for size in (SMALL, large)]
            for name, command in COMMANDS.items():
                few, many = measure(stores[0], stores[1], command, rounds)
                held = "held" if many <= BAR * few else "**missed**"
                yield f"| {name} | {of} | {few * 1e6:.0f} µs | {many * 1e6:.0f} µs | {many / few:.2f} | {held} |"
            for filled in stores:
                filled.store.ledger.close()


def main() -> None:
    """Measure and print; with ``--write``, keep the table."""
    arguments = argparse.ArgumentParser(description="What one command costs at 1,000 and at many versions or names")
    arguments.add_argument("--large", type=int, default=100_000)
    arguments.add_argument("--rounds", type=int, default=200)
    arguments.add_argument("--write", action="store_true")
    chosen = arguments.parse_args()
    lines = [machine(), "", *table(chosen.large, chosen.rounds)]
    print("\n".join(lines))
    if chosen.write:
        replace_table("scale", lines)


if __name__ == "__main__":
    main()
