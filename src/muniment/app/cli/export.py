"""What is on record, in the formats of others."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from muniment.app import exports
from muniment.app.cli.frame import as_of_option, command, seq_at, store
from muniment.app.cli.show import Shown
from muniment.app.telling import lineage as lineages


@command(
    machine=False,
    examples=(
        "muniment export openlineage local/digits -o lineage.jsonl",
        "muniment export prov mnist:v3 --as-of 2026-03-03",
        "muniment export croissant mnist:v3 -o artifacts/mnist:v3/croissant.json",
        "muniment export cyclonedx wandb-registry-model/digits:production -o bom.json",
    ),
)
@click.argument("format", type=click.Choice(list(exports.FORMATS)))
@click.argument("name")
@click.option("--output", "-o", metavar="FILE", help="Where to; otherwise to standard output.")
@click.option("--depth", type=click.IntRange(0), metavar="N", default=lineages.DEPTH, help="How many steps of lineage.")
@as_of_option
def export(format: str, name: str, output: str | None, depth: int, moment: str | None) -> Shown | None:
    """Write what is on record about NAME in a format of others: the same store and moment give the same bytes.

    NAME is that of a version, for openlineage and prov also of a run, for openlineage also of a project. Deleted and
    erased things are told as such, without the words that were erased.
    """
    opened = store()
    chunks = exports.export(opened, format, name, at=seq_at(opened, moment), depth=depth)
    if output is not None:
        exports.save(chunks, Path(output))
        return f"wrote {output}"
    sys.stdout.buffer.writelines(chunks)
    sys.stdout.buffer.flush()
    return None
