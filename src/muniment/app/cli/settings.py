"""What is configured, and the program itself."""

from __future__ import annotations

import platform
from importlib import metadata

import click
from click.shell_completion import get_completion_class

from muniment.app.cli.frame import command
from muniment.app.cli.frame import settings as in_force
from muniment.app.cli.show import Many, One, Shown, Values
from muniment.app.config import SETTINGS, Config, Setting, without_secrets
from muniment.domain.errors import NotFoundError, StorageError


@command(examples=("muniment config", "muniment config home", "muniment config --json"))
@click.argument("name", required=False)
def config(name: str | None) -> Shown:
    """Show every setting, its value and where it comes from, or the value of one.

    A setting is set by MUNIMENT_<NAME>, by the W&B variable that means the same, or in config.toml in the home
    folder, in this order.
    """
    loaded = in_force()
    rows = [_row(loaded, setting) for setting in SETTINGS]
    if name is None:
        return Many(rows, ("name", "value", "source", "meaning"))
    for row in rows:
        if row["name"] == name:
            return One(row, str(row["value"] or ""))
    msg = f"there is no setting {name!r} — `muniment config` lists them"
    raise NotFoundError(msg)


def _row(loaded: Config, setting: Setting) -> Values:
    value, source = loaded[setting.name], loaded.sources[setting.name]
    if setting.name == "actor" and value is None:
        value, source = loaded.actor, "operating system"
    return {
        "name": setting.name,
        "value": None if value is None else without_secrets(value),
        "source": source,
        "variable": setting.variable,
        "twin": setting.twin,
        "meaning": setting.meaning,
    }


@command(examples=('eval "$(muniment completion bash)"',), machine=False)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> Shown:
    """Print the completion script of a shell.

    Put the line of the example into the start file of your shell; for fish: muniment completion fish | source
    """
    class_ = get_completion_class(shell)
    if class_ is None:
        msg = f"there is no completion for {shell} — use bash, zsh or fish"
        raise NotFoundError(msg)
    try:
        return class_(context.find_root().command, {}, "muniment", "_MUNIMENT_COMPLETE").source()
    except (OSError, RuntimeError) as error:
        msg = f"the completion script of {shell} cannot be made: {error} — is the shell installed?"
        raise StorageError(msg) from error


@command(examples=("muniment version",))
def version() -> Shown:
    """Print the version of Muniment."""
    return One({"version": version_text(), "python": platform.python_version()}, version_text())


def version_text() -> str:
    """Return the version of the installed package."""
    try:
        return metadata.version("muniment")
    except metadata.PackageNotFoundError:
        return "not installed"
