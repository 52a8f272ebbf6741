"""What shows that erased words are gone: looking for them, and making files forget them."""

from __future__ import annotations

import sys
from dataclasses import asdict

import click

from muniment.app import scan as scanning
from muniment.app.cli.frame import group, show_now
from muniment.app.cli.show import Many, Values, printable
from muniment.domain.errors import InvalidValueError


@group(examples=("muniment compliance scan --canary - ~/.muniment < words.txt",))
def compliance() -> None:
    """Look for words that must be gone, byte by byte."""


@compliance.command(
    examples=(
        "muniment compliance scan --canary - ~/.muniment < words.txt",
        "muniment compliance scan --canary 7f3a9c51-e2b4 ~/.muniment s3://bucket/prefix",
    )
)
@click.option("--canary", "canaries", metavar="TEXT", multiple=True, required=True, help="A word; - reads one a line.")
@click.argument("places", metavar="PATH...", nargs=-1, required=True)
@click.pass_context
def scan(context: click.Context, canaries: tuple[str, ...], places: tuple[str, ...]) -> None:
    """Look for words in files, folders and buckets (s3://bucket/prefix, all versions), byte by byte.

    They are looked for as UTF-8, UTF-16, base64, hexadecimal digits, in the escapes of URLs, JSON and HTML, and in what
    zlib, gzip, bzip2, xz, zstd or zip compressed; what is encrypted cannot be found. The exit status is 1 if a word was
    found or something could not be read. Words are never printed.
    """
    words = [word for each in canaries for word in _words(each)]
    try:
        found = scanning.scan(words, places)
    except ValueError as error:
        raise InvalidValueError(str(error)) from error
    rows: list[Values] = [asdict(hit) for hit in found.hits]
    rows += [{"unread": text} for text in found.unread] + [{"note": text} for text in found.limits]
    *texts, total = scanning.lines(found)
    lines = iter(texts)
    show_now(context, Many(rows, line=lambda _: printable(next(lines))))
    click.echo(total, err=True)
    if not found.clean:
        context.exit(1)


def _words(said: str) -> list[str]:
    """Return the word that was given, or those on the lines of the standard input."""
    return [line for line in sys.stdin.read().splitlines() if line] if said == "-" else [said]
