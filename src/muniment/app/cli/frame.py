"""What every command has: it is loaded when it is called, its help shows examples, its result is printed once."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from muniment.app.catalog import Found
    from muniment.app.cli.show import Shown
    from muniment.app.config import Config
    from muniment.app.progress import Watch
    from muniment.app.store import Store
    from muniment.domain.rows import ProjectRow
    from muniment.domain.values import SlotId

F = TypeVar("F", bound=Callable[..., Any])
JSON = "muniment.json"
STORE = "muniment.store"
ALIKE: Final = {"ls": "list", "list": "ls", "member": "members", "members": "member"}
"""What means the same; a group has a command of one name and is called by either."""
WHOLE: Final = 500
"""As many characters as no first sentence has."""


class Lazy(NamedTuple):
    """A command that is loaded when it is called: the module it is in, and what the list of commands says of it."""

    module: str
    help: str


class _WithExamples(click.Command):
    """A command whose help ends with examples."""

    def __init__(self, *args: Any, examples: Sequence[str] = (), **kwargs: Any) -> None:  # noqa: ANN401 (click's own)
        super().__init__(*args, **kwargs)
        self.examples = tuple(examples)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Examples"):
            for example in self.examples:
                formatter.write(f"{'':>{formatter.current_indent}}{example}\n")


class Command(_WithExamples):
    """A command that returns what there is to see; ``--json`` asks for the form that scripts read."""

    def __init__(self, *args: Any, machine: bool = True, **kwargs: Any) -> None:  # noqa: ANN401 (click's own)
        super().__init__(*args, **kwargs)
        if machine:
            self.params.append(_json_option())

    def invoke(self, ctx: click.Context) -> None:
        """Run the command and print what it returns."""
        shown = super().invoke(ctx)
        if shown is not None:
            show_now(ctx, shown)


class Group(_WithExamples, click.Group):
    """Commands about one kind of thing."""

    command_class = Command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is called, also by the name that others have for the same."""
        known, other = set(self.list_commands(ctx)), ALIKE.get(args[0])
        if args[0] not in known and other in known:
            args = [other, *args[1:]]
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands with the whole first sentence of each."""
        names = self.list_commands(ctx)
        found = [(name, command) for name in names if (command := self.get_command(ctx, name))]
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.get_short_help_str(WHOLE)) for name, command in found])


class LazyGroup(Group):
    """A group whose commands are loaded when they are called, so that its help costs next to nothing."""

    def __init__(self, *args: Any, lazy: Mapping[str, Lazy], **kwargs: Any) -> None:  # noqa: ANN401 (click's own)
        super().__init__(*args, **kwargs)
        self.lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order in which they are documented."""
        del ctx
        return list(self.lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load a command: the attribute of its name in its module."""
        del ctx
        if cmd_name not in self.lazy:
            return None
        module = import_module(f"muniment.app.cli.{self.lazy[cmd_name].module}")
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without loading them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, lazy.help) for name, lazy in self.lazy.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete the name of a command without loading any."""
        del ctx
        return [CompletionItem(name, help=lazy.help) for name, lazy in self.lazy.items() if name.startswith(incomplete)]


def command(name: str | None = None, **attributes: Any) -> Callable[[Callable[..., Any]], Command]:  # noqa: ANN401
    """Make a command that stands by itself."""
    return click.command(name, cls=Command, **attributes)


def group(name: str | None = None, **attributes: Any) -> Callable[[Callable[..., Any]], Group]:  # noqa: ANN401
    """Make a group of commands."""
    return click.group(name, cls=Group, **attributes)


def _json_option() -> click.Option:
    def remember(context: click.Context, _: click.Parameter, wanted: bool) -> None:
        context.meta[JSON] = wanted

    return click.Option(
        ["--json"],
        is_flag=True,
        expose_value=False,
        callback=remember,
        help="Print one JSON object, or one a line for a list.",
    )


def show_now(context: click.Context, shown: Shown) -> None:
    """Print a result, in the form that was asked for."""
    from muniment.app.cli.show import show  # noqa: PLC0415 (help needs none of it)

    show(shown, as_json=bool(context.meta.get(JSON)))


def page_options(command_: F) -> F:
    """Add ``--limit`` and ``--after``."""
    limit = click.option(
        "--limit", "-n", "-l", type=click.IntRange(1), metavar="N", default=100, show_default=True, help="How many."
    )
    after = click.option("--after", metavar="CURSOR", help="Go on after this cursor, which the page before ended with.")
    return limit(after(command_))


def as_of_option(command_: F) -> F:
    """Add ``--as-of``."""
    return click.option(
        "--as-of",
        "--at",
        "moment",
        metavar="MOMENT",
        help="As it was then: an ISO time such as 2026-03-03T12:00Z, or a seq.",
    )(command_)


# --- what commands work on -------------------------------------------------------------------------------------------


def settings() -> Config:
    """Return the settings in force."""
    from muniment.app import config  # noqa: PLC0415 (help needs none of it)

    return config.load(**(click.get_current_context().find_root().obj or {}))


def watched() -> AbstractContextManager[Watch]:
    """Show how far what is done meanwhile is, on a terminal that is not to be left alone."""
    from muniment.app.progress import SILENT, Bar  # noqa: PLC0415 (help needs none of it)

    found = settings()
    if found.flag("silent") or found.flag("quiet") or not sys.stderr.isatty():
        return nullcontext(SILENT)
    return Bar()


def store() -> Store:
    """Open the store, once for each command; it is closed when the command ends."""
    from muniment.app.bootstrap import open_store  # noqa: PLC0415 (help needs none of it)

    root = click.get_current_context().find_root()
    if STORE not in root.meta:
        opened: Store = open_store(settings(), source="cli")
        root.meta[STORE] = opened
        root.call_on_close(opened.ledger.close)
        if opened.alarm:
            click.echo(f"warning: {opened.alarm}", err=True)
    found: Store = root.meta[STORE]
    return found


def find(opened: Store, text: str, at: int | None = None) -> Found:
    """Return the version that a name means."""
    from muniment.app import catalog  # noqa: PLC0415 (help needs none of it)
    from muniment.app.subjects import address  # noqa: PLC0415

    return catalog.find(opened.views, address(opened, text), at)


def project_of(opened: Store, text: str | None, at: int | None = None) -> ProjectRow:
    """Return the project that ``[entity/]project`` means, or the configured one."""
    from muniment.app import directory  # noqa: PLC0415 (help needs none of it)

    entity, _, project = (text or opened.config.text("project")).rpartition("/")
    return directory.project(opened.views, entity or opened.config.text("entity"), project, at)


def seq_at(opened: Store, moment: str | None) -> int | None:
    """Return the seq that a moment means, ``None`` for now."""
    from muniment.app.telling.history import as_of  # noqa: PLC0415 (help needs none of it)

    return None if moment is None else as_of(opened, moment)


def texts(opened: Store, *slots: SlotId | None) -> list[Any]:
    """Return personal values by their slots: ``None`` where there is none, ``[erased]`` where it was forgotten."""
    from muniment.domain.values import ERASED_TEXT  # noqa: PLC0415 (help needs none of it)

    values = opened.vault.get_many({slot for slot in slots if slot is not None})
    return [None if slot is None else values.get(slot, ERASED_TEXT) for slot in slots]
