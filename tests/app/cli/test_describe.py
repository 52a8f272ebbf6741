"""How people and things are called in what the command line prints."""

from __future__ import annotations

from muniment.app.bootstrap import open_store
from muniment.app.cli.describe import Logins
from muniment.app.config import load
from muniment.domain.values import ERASED_TEXT
from tests.app.cli.conftest import Run


def test_logins_are_told_and_forgotten_ones_read_as_erased(muniment: Run) -> None:
    muniment("artifact", "ls")
    opened = open_store(load())
    ada, nobody = next(each.actor for each in opened.ledger.read()), "0" * 32
    logins = Logins(opened)
    logins.learn([ada, nobody])
    assert logins.known == {ada: "ada", nobody: ERASED_TEXT}
    assert [logins.of(id_) for id_ in (ada, nobody, None)] == ["ada", ERASED_TEXT, None]
    assert Logins(opened).of(ada) == "ada"
    opened.ledger.close()
