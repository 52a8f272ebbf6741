"""A wire between a client and a server that can be cut in the middle of a message, on loopback."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from pathlib import Path

from attrs import define, field


class Cut(Enum):
    """When the wire is cut: before the server hears the message, or before the client hears its answer."""

    UNHEARD = "unheard"
    UNANSWERED = "unanswered"


@define(eq=False)
class Wire:
    """Passes bytes on, until a message with *word* comes after *cut* was set; *then* is the cut after that one."""

    server: Path
    port: int = 0
    cut: Cut | None = None
    word: bytes = b"COMMIT"
    then: tuple[Cut, bytes] | None = None
    cuts: int = 0
    _sockets: list[socket.socket] = field(factory=list)

    def serve(self, listening: socket.socket) -> None:
        """Pass on what every client sends, until the listening socket is closed."""
        with suppress(OSError):  # closed at the end
            while True:
                client, _ = listening.accept()
                upstream = socket.socket(socket.AF_UNIX)
                self._sockets += [client, upstream]
                if upstream.connect_ex(str(self.server)):
                    client.shutdown(socket.SHUT_RDWR)
                    continue
                threading.Thread(target=self._to_server, args=(client, upstream), daemon=True).start()

    def _to_server(self, client: socket.socket, upstream: socket.socket) -> None:
        answers = threading.Thread(target=_pass, args=(upstream, client), daemon=True)
        answers.start()
        with suppress(OSError):
            while said := client.recv(65536):
                if self.cut is not None and self.word in said:
                    how, self.cut = self.cut, None
                    if self.then is not None:
                        (self.cut, self.word), self.then = self.then, None
                    self.cuts += 1
                    client.shutdown(socket.SHUT_RDWR)
                    if how is Cut.UNANSWERED:
                        upstream.sendall(said)
                    break
                upstream.sendall(said)
        with suppress(OSError):
            upstream.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Let go of all sockets."""
        for each in self._sockets:
            each.close()


def _pass(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while said := source.recv(65536):
            target.sendall(said)
    with suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)


@contextmanager
def wire(server: Path) -> Iterator[Wire]:
    """Open a wire to the server that listens on this unix socket."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        made = Wire(server, listening.getsockname()[1])
        passing = threading.Thread(target=made.serve, args=(listening,), daemon=True)
        passing.start()
        yield made
        listening.shutdown(socket.SHUT_RDWR)
        passing.join()
    made.close()
