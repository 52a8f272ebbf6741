"""A server program of the tests: on a free port of the loopback, with a folder of its own, ended by its process id."""

from __future__ import annotations

import atexit
import http.client
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from attrs import define

SECONDS: Final = 90

WATCH: Final = 'read _; kill -KILL "$1" 2>/dev/null; rm -rf "$2"'
"""Waits for the end of what is said to it, which comes when the tests are killed; then ends the server too."""


@define(eq=False)
class Program:
    """A running server."""

    port: int
    folder: Path
    process: subprocess.Popen[bytes]
    watch: subprocess.Popen[bytes]

    @property
    def endpoint(self) -> str:
        """Where it is reached."""
        return f"http://127.0.0.1:{self.port}"

    def kill(self) -> None:
        """End it at once and remove what it kept."""
        self.process.kill()
        self.watch.communicate()
        self.process.wait()


def start(command: Callable[[int, Path], Sequence[str | Path]], environ: Mapping[str, str] | None = None) -> Program:
    """Start a program until this process ends, and wait until it answers; one that does not is RuntimeError.

    *command* is given a free port and an empty folder.
    """
    folder = Path(tempfile.mkdtemp(prefix="muniment-server-"))
    port = _free_port()
    with (folder / "said.txt").open("wb") as said:
        process = subprocess.Popen(
            command(port, folder),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            cwd=folder,
            env={"PATH": os.environ.get("PATH", os.defpath), "HOME": str(folder), **(environ or {})},
        )
    watch = subprocess.Popen(
        ["/bin/sh", "-c", WATCH, "watch", str(process.pid), folder], stdin=subprocess.PIPE, start_new_session=True
    )
    program = Program(port, folder, process, watch)
    try:
        _wait(program)
    except BaseException:
        program.kill()
        raise
    owner = os.getpid()
    atexit.register(lambda: program.kill() if os.getpid() == owner else None)
    return program


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


def _wait(program: Program) -> None:
    end = time.monotonic() + SECONDS
    while time.monotonic() < end and program.process.poll() is None:
        if _answers(program.port):
            return
        time.sleep(0.05)
    said = (program.folder / "said.txt").read_text(errors="replace")[-2000:]
    msg = f"a server for the tests did not start: {said}"
    raise RuntimeError(msg)


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/")
        connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True
