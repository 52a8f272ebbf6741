"""Artifacts: the list of what can be done with them."""

from __future__ import annotations

import click

from muniment.app.cli.frame import Lazy, LazyGroup

COMMANDS = {
    "put": Lazy("transfer", "Log a file, a folder or a reference as the next version."),
    "get": Lazy("transfer", "Download a version; every byte is verified."),
    "ls": Lazy("look", "List artifacts, or the versions of one."),
    "show": Lazy("look", "Show everything about a version, or list its entries."),
    "diff": Lazy("look", "List the entries that differ between two versions."),
    "verify": Lazy("transfer", "Compare stored bytes, or a folder, with a version."),
    "alias": Lazy("edits", "Show, move or remove the aliases of a version."),
    "ttl": Lazy("edits", "Show or set how long a version lives."),
    "delete": Lazy("edits", "Mark a version deleted."),
    "restore": Lazy("edits", "Take the deletion of a version back."),
    "cache": Lazy("cache", "Look at the cache and make it smaller."),
}


@click.group(
    cls=LazyGroup,
    lazy=COMMANDS,
    examples=("muniment artifact put -t dataset -n mnist ./data", "muniment artifact ls"),
)
def artifact() -> None:
    """Log, fetch, look at and change artifacts."""
