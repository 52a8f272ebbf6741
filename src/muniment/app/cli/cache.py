"""The cache of blobs that were fetched from elsewhere: it may be deleted at any time."""

from __future__ import annotations

import click

from muniment.app import clock
from muniment.app.cli.frame import group, settings
from muniment.app.cli.show import One, Shown, human_size
from muniment.app.cli.trying import dry_run_option
from muniment.app.config import size_in_bytes

HALF_FETCHED_LASTS = 3600 * 1_000_000


@group(examples=("muniment cache ls", "muniment cache cleanup 2GiB"))
def cache() -> None:
    """Look at the cache and make it smaller."""


@cache.command("ls", examples=("muniment cache ls", "muniment cache ls --json"))
def ls() -> Shown:
    """Show how many blobs the cache holds, their size, and how large it may become."""
    from muniment.app.bootstrap import open_cache  # noqa: PLC0415 (help needs none of it)

    opened = open_cache(settings())
    usage = opened.usage()
    return One({"blobs": usage.blobs, "bytes": usage.size, "limit": opened.limit, "folder": str(opened.folder)})


@cache.command("cleanup", examples=("muniment cache cleanup 2GiB", "muniment cache cleanup 0"))
@click.argument("size")
@click.option("--remove-temp", is_flag=True, help="Accepted for W&B's sake; what interrupted fetches left always goes.")
@dry_run_option
def cleanup(size: str, remove_temp: bool, dry_run: bool) -> Shown:
    """Remove what was used longest ago until the cache is no larger than SIZE."""
    from muniment.app.bootstrap import open_cache  # noqa: PLC0415 (help needs none of it)

    del remove_temp
    opened = open_cache(settings())
    target = size_in_bytes(size)
    halves = opened.sweep(clock.now() - HALF_FETCHED_LASTS, dry_run=dry_run)
    freed = opened.cleanup(target, dry_run=dry_run) + halves
    if dry_run:
        return One({"dry_run": True, "freed_bytes": freed}, f"would free {human_size(freed)}; nothing was done")
    left = opened.usage()
    text = f"freed {human_size(freed)}, {human_size(left.size)} left"
    return One({"freed_bytes": freed, "bytes": left.size, "blobs": left.blobs}, text)
