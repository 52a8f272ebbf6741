"""Where everything is and who acts: argument, then ``MUNIMENT_*``, then its ``WANDB_*`` twin, then ``config.toml``."""

from __future__ import annotations

import getpass
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from attrs import define, field, frozen

from muniment.app import durations
from muniment.domain.errors import InvalidValueError, StorageError
from muniment.domain.values import LARGEST

DIGESTS: Final = ("sha256", "md5")
LOGS: Final = ("json", "text")
LEVELS: Final = ("debug", "info", "warning", "error")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)i?B?", re.IGNORECASE)
_IN_AUTHORITY: Final = re.compile(r"(://[^:/?#@]*):.*@")
_IN_QUERY: Final = re.compile(r"([?&](?:ssl)?password=)[^&]*")


@frozen
class Setting:
    """One thing that can be configured: its name, the W&B variable that means the same, and its default."""

    name: str
    twin: str | None
    default: str | None
    meaning: str

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return f"MUNIMENT_{self.name.upper()}"


SETTINGS: Final = (
    Setting("home", None, "~/.muniment", "the folder of the store"),
    Setting("ledger", None, None, "where the ledger is: a SQLite file, or postgresql://…"),
    Setting("vault", None, None, "where the vault is: a folder, or postgresql://…"),
    Setting("blobs", None, None, "where the blobs are: a folder, s3://bucket/prefix, or what else fsspec reaches"),
    Setting("s3_sse", None, None, "how an S3 server is to encrypt blobs: AES256, aws:kms or aws:kms:dsse"),
    Setting("s3_sse_kms_key_id", None, None, "with which key of its key service"),
    Setting("key_file", None, None, "the file of the master key"),
    Setting("signing_key", None, None, "the file of the key that signs checkpoints"),
    Setting("witness", None, None, "the folder of a witness, or the newest note that it signed"),
    Setting("actor", "WANDB_USERNAME", None, "who acts; by default the user of the operating system"),
    Setting("organisation", None, "local", "the organisation whose registries are meant"),
    Setting("entity", "WANDB_ENTITY", "local", "the team whose projects are meant"),
    Setting("project", "WANDB_PROJECT", "uncategorized", "the project that is meant"),
    Setting("cache_dir", "WANDB_CACHE_DIR", None, "the folder of the cache"),
    Setting("cache_max", None, "10GiB", "how large the cache may become"),
    Setting("data_dir", "WANDB_DATA_DIR", None, "the folder where files wait to be logged"),
    Setting("artifact_dir", "WANDB_ARTIFACT_DIR", None, "the folder where artifacts are downloaded to"),
    Setting("dir", "WANDB_DIR", None, "the folder of a run's own files"),
    Setting("grace", None, "7d", "how long a deleted version can be restored"),
    Setting("digest", None, "sha256", "which digests are shown: sha256 or md5"),
    Setting("log", None, None, "say on standard error what happens: json or text"),
    Setting("log_level", None, "info", "from which level on: debug, info, warning or error"),
    Setting("otel", None, "false", "make spans for the OpenTelemetry provider of the program"),
    Setting("silent", "WANDB_SILENT", "false", "say nothing on the terminal"),
    Setting("quiet", "WANDB_QUIET", "false", "say little on the terminal"),
    Setting("mode", "WANDB_MODE", "online", "online, offline (the same here) or disabled"),
    Setting("run_id", "WANDB_RUN_ID", None, "the id of the next run"),
    Setting("run_group", "WANDB_RUN_GROUP", None, "the group of the next run"),
    Setting("name", "WANDB_NAME", None, "the name of the next run"),
    Setting("notes", "WANDB_NOTES", None, "the notes of the next run"),
    Setting("tags", "WANDB_TAGS", None, "the tags of the next run, separated by commas"),
    Setting("job_type", "WANDB_JOB_TYPE", None, "the job type of the next run"),
    Setting("resume", "WANDB_RESUME", None, "what to do about a run of the same id"),
)
"""Everything that can be configured, in the order in which it is documented."""


@define
class Config:
    """The settings that are in force, and where each came from."""

    values: dict[str, str | None] = field(repr=False)  # a URL may hold a password
    sources: dict[str, str]

    def __getitem__(self, name: str) -> str | None:
        return self.values[name]

    def text(self, name: str) -> str:
        """Return a setting that always has a value."""
        return self.values[name] or ""

    def flag(self, name: str) -> bool:
        """Return a setting that is true or false."""
        return self.text(name).lower() in {"1", "true", "yes", "on"}

    @property
    def home(self) -> Path:
        """The folder of the store."""
        return Path(self.text("home")).expanduser().absolute()

    def path(self, name: str, default: str) -> Path:
        """Return a path, or *default* below the home folder."""
        value = self.values[name]
        return Path(value).expanduser().absolute() if value else self.home / default

    @property
    def cache_max(self) -> int:
        """How large the cache may become, in bytes."""
        return size_in_bytes(self.text("cache_max"))

    @property
    def grace(self) -> int:
        """How long a deleted version can be restored, in microseconds."""
        return durations.from_text(self.text("grace"))

    def check(self) -> None:
        """Refuse what cannot be read, before anything is done; the error names the setting."""
        checks: tuple[tuple[str, Callable[[str], object]], ...] = (
            ("cache_max", size_in_bytes),
            ("grace", durations.from_text),
            ("digest", _one_of("digest", DIGESTS)),
            ("log", _one_of("form of logs", ("", *LOGS))),
            ("log_level", _one_of("level", LEVELS)),
        )
        for name, read in checks:
            try:
                read(self.text(name))
            except InvalidValueError as error:
                msg = f"{name} (from {self.sources[name]}): {error}"
                raise InvalidValueError(msg) from error

    @property
    def actor(self) -> str:
        """Who acts."""
        return self.values["actor"] or os_user()


def load(environ: Mapping[str, str] | None = None, **arguments: str | None) -> Config:
    """Return the settings in force; *arguments* win over the environment, the environment over ``config.toml``."""
    environ = os.environ if environ is None else environ
    values: dict[str, str | None] = {}
    sources: dict[str, str] = {}
    for setting in SETTINGS:
        values[setting.name], sources[setting.name] = _outer(setting, environ, arguments)
    home = Path(values["home"] or "~/.muniment").expanduser()
    for name, value in _file(home / "config.toml").items():
        if name in values and sources[name] == "default":
            values[name], sources[name] = _as_text(name, value), "config.toml"
    config = Config(values, sources)
    config.check()
    values["digest"] = config.text("digest").lower()
    return config


def _outer(setting: Setting, environ: Mapping[str, str], arguments: Mapping[str, str | None]) -> tuple[str | None, str]:
    if arguments.get(setting.name):
        return arguments[setting.name], "argument"
    for variable in filter(None, (setting.variable, setting.twin)):
        if environ.get(variable):
            return environ[variable], variable
    return setting.default, "default"


def _file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):  # opening the store says that the home is no folder
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        msg = f"config.toml in the home folder cannot be read: {getattr(error, 'strerror', None) or error}"
        raise StorageError(msg) from error


def _as_text(name: str, value: object) -> str:
    """Return a value of ``config.toml`` as a variable would give it: a list is joined by commas."""
    each = value if isinstance(value, list) else [value]
    if any(isinstance(one, dict | list) for one in each):
        msg = f"config.toml: {name} must be text, a number, true or false, or a list of such"
        raise InvalidValueError(msg)
    return ",".join(str(one) for one in each)


def size_in_bytes(text: str) -> int:
    """Read ``10GiB``, ``500 MB`` or ``1024``; prefixes are powers of 1024."""
    found = _SIZE.fullmatch(text.strip())
    if not found:
        msg = f"{text!r} is no size — write for example 10GiB or 500MiB"
        raise InvalidValueError(msg)
    size = float(found[1]) * 1024 ** " KMGT".index(found[2].upper() or " ")
    return int(min(size, LARGEST))


def _one_of(what: str, known: tuple[str, ...]) -> Callable[[str], None]:
    def check(text: str) -> None:
        if text.lower() not in known:
            msg = f"{text!r} is no {what} — write {' or '.join(filter(None, known))}"
            raise InvalidValueError(msg)

    return check


def without_secrets(value: str) -> str:
    """Return a setting as it may be shown: no password of a URL is in it."""
    return _IN_QUERY.sub(r"\1***", _IN_AUTHORITY.sub(r"\1:***@", value))


def os_user() -> str:
    """Return the name of the operating system's user, or its number where it has none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid-{os.getuid()}"
