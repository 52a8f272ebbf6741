"""What every ledger must do for those who delete: one at a time, whatever becomes of the one before."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from muniment.domain.ports import Ledger


class LedgerTurn:
    """Subclasses have a fixture ``ledger``."""

    def test_one_at_a_time_has_the_turn_to_delete(self, ledger: Ledger) -> None:
        inside: list[int] = []
        most: list[int] = []

        def deleting(number: int) -> None:
            with ledger.alone() as require:
                inside.append(number)
                most.append(len(inside))
                ledger.work(lambda transaction: transaction.scratch.put("turn", str(number), number))
                require()
                inside.remove(number)

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(deleting, range(12)))
        assert most == [1] * 12
        assert len(ledger.scratch.items("turn")) == 12

    def test_whoever_waits_for_the_turn_has_it_once_it_is_free(self, ledger: Ledger) -> None:
        asked, done = Event(), Event()

        def waiting() -> None:
            asked.set()
            with ledger.alone():
                assert done.is_set()

        assert not ledger.deleting()
        with ThreadPoolExecutor(1) as pool:
            with ledger.alone():
                assert ledger.deleting()
                work = pool.submit(waiting)
                asked.wait()
                done.set()
            work.result()
        assert not ledger.deleting()

    def test_a_turn_that_failed_is_left_to_the_next(self, ledger: Ledger) -> None:
        with pytest.raises(ZeroDivisionError), ledger.alone():
            raise ZeroDivisionError
        assert not ledger.deleting()
        with ledger.alone() as require:
            require()

    def test_a_turn_is_free_as_soon_as_whoever_had_it_says_so(self, ledger: Ledger) -> None:
        for _ in range(50):
            with ledger.alone():
                pass
            assert not ledger.deleting()
