"""The command line: one line of output for a person, one object for a script, one line for an error."""

from __future__ import annotations

from collections.abc import Sequence

import click

from muniment.app.cli.frame import Lazy, LazyGroup
from muniment.app.stopping import TERMINATED, Terminated, unwinding
from muniment.domain.errors import MunimentError

INTERRUPTED = 130

COMMANDS = {
    "artifact": Lazy("artifact", "Log, fetch, look at and change artifacts."),
    "registry": Lazy("registry", "Look at and change registries, link versions into them."),
    "run": Lazy("run", "Look at runs, and delete them."),
    "lineage": Lazy("story", "Show what something was made from and what was made from it."),
    "history": Lazy("story", "Show who did what to something, before and after."),
    "as-of": Lazy("story", "Say what a name meant at some moment."),
    "diff": Lazy("diff", "Show what changed between two moments."),
    "activity": Lazy("activity", "Declare what data is processed for."),
    "report": Lazy("report", "Make reports for auditors and data protection officers."),
    "export": Lazy("export", "Write what is on record in a format of others."),
    "usage": Lazy("usage", "Show who used and downloaded a version."),
    "events": Lazy("events", "Read, filter and follow the ledger."),
    "retention": Lazy("retention", "Say how long things are kept, and ask why."),
    "hold": Lazy("hold", "Keep what is in a scope, whoever wants it gone."),
    "approval": Lazy("approval", "Agree to what takes two people."),
    "subject": Lazy("subject", "Say which stored things are about which person."),
    "request": Lazy("request", "Handle what people ask for: their data, its erasure."),
    "gc": Lazy("upkeep", "Remove bytes that nothing reaches any more."),
    "disposals": Lazy("disposals", "Show what was removed for good, and what shows it."),
    "fsck": Lazy("upkeep", "Check everything that is stored."),
    "rebuild": Lazy("upkeep", "Make all rows again from the events."),
    "projections": Lazy("projections", "Keep rows that follow the ledger in batches up with it."),
    "replay": Lazy("replay", "Build the store as it was at some moment, to be looked at."),
    "storage": Lazy("storage", "Say where the blobs of teams are kept, and carry them."),
    "migrate": Lazy("migrate", "Carry the ledger or the vault to another database."),
    "doctor": Lazy("doctor", "Look whether the store can do its work here."),
    "stats": Lazy("stats", "Count what the store holds."),
    "checkpoint": Lazy("upkeep", "Sign the state of the ledger, to be kept elsewhere."),
    "prove": Lazy("proofs", "Prove an event or a fact to somebody who has not the ledger."),
    "prove-entry": Lazy("proofs", "Prove that a version holds an entry, or none of a path."),
    "verify": Lazy("proofs", "Check proofs, checkpoints and bundles; needs no store."),
    "kit": Lazy("proofs", "Write the programs that check all this without Muniment."),
    "witness": Lazy("witness", "Sign that a ledger was seen to grow, and keep evidence if it did not."),
    "key": Lazy("keys", "Show the key that signs checkpoints, or put a new one in its place."),
    "redact": Lazy("redact", "Destroy the words of events; takes two people."),
    "scrub": Lazy("redact", "Make files and tables forget what was deleted."),
    "compliance": Lazy("compliance", "Search for erased words, try an erasure out."),
    "cache": Lazy("cache", "Look at the cache and make it smaller."),
    "org": Lazy("people", "Make organizations and say who is in them."),
    "team": Lazy("people", "Make teams, say who is in them and how long versions live."),
    "config": Lazy("settings", "Show every setting, its value and where it comes from."),
    "completion": Lazy("settings", "Print the completion script of a shell."),
    "version": Lazy("settings", "Print the version of Muniment."),
}


def _print_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        from muniment.app.cli.settings import version_text  # noqa: PLC0415 (only who asks pays for it)

        click.echo(version_text())
        context.exit()


@click.group(
    cls=LazyGroup,
    lazy=COMMANDS,
    examples=("muniment artifact put -t dataset -n mnist ./data", "muniment lineage mnist:latest"),
)
@click.option("--home", metavar="DIR", help="The folder of the store; otherwise MUNIMENT_HOME, or ~/.muniment.")
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Print the version."
)
@click.option("--quiet", "-q", is_flag=True, help="Show no progress on the terminal.")
@click.pass_context
def cli(context: click.Context, home: str | None, quiet: bool) -> None:
    """Keep machine-learning artifacts as documents: versioned, linked, and every act on record."""
    context.obj = {"home": home, "quiet": "true" if quiet else None}


def main(args: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0, 1 for a refusal or fault, 2 for wrong usage.

    One that Ctrl-C ended is 130, one that SIGTERM ended 143.
    """
    try:
        with unwinding():
            status = cli.main(args, prog_name="muniment", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return INTERRUPTED
    except Terminated:
        click.echo("terminated", err=True)
        return TERMINATED
    except MunimentError as error:
        click.echo(f"error: {one_line(str(error))}", err=True)
        return 1
    return status if isinstance(status, int) else 0


def one_line(text: str) -> str:
    """Return a text without line ends and without characters that could steer a terminal."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in " ".join(text.split()))
