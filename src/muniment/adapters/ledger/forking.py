"""What happens to open ledgers when their process forks.

A child must not use its parent's connections, and what another thread was doing with the database is never finished
in it. So a fork waits until no thread writes or reads, and the child closes what it inherited before all else.
"""

from __future__ import annotations

import os
import threading
from typing import Protocol
from weakref import WeakSet

from attrs import define, field


class Forked(Protocol):
    """Something that must be quiet while its process forks."""

    def before_fork(self) -> None: ...
    def after_fork(self, *, child: bool) -> None: ...


@define
class _Forks:
    """One fork at a time, with all that is quiet for it."""

    lock: threading.Lock = field(factory=threading.Lock)
    quiet: list[Forked] = field(factory=list)
    known: WeakSet[Forked] = field(factory=WeakSet)

    def before(self) -> None:
        self.lock.acquire()
        for each in list(self.known):
            each.before_fork()
            self.quiet.append(each)

    def in_parent(self) -> None:
        while self.quiet:
            self.quiet.pop().after_fork(child=False)
        self.lock.release()

    def in_child(self) -> None:
        self.lock = threading.Lock()
        while self.quiet:
            self.quiet.pop().after_fork(child=True)


_FORKS = _Forks()
os.register_at_fork(before=_FORKS.before, after_in_parent=_FORKS.in_parent, after_in_child=_FORKS.in_child)


def watch(each: Forked) -> None:
    """Tell *each* when the process forks, as long as it lives."""
    _FORKS.known.add(each)
