"""What a ledger does when words of events are destroyed on purpose: an event says so, and all else stays as it was."""

from __future__ import annotations

import json
from typing import Any

import pytest

from muniment.domain.errors import ConflictError, RuleError
from muniment.domain.ports import Append, Ledger, Outcome
from muniment.domain.project import ProjectRenamed
from muniment.domain.redaction import EventsRedacted
from muniment.domain.rows import ProjectRow
from muniment.domain.values import ERASED, StreamId
from tests.conformance.ledger_acts import P, Q, append, command, created, decided, events, raising

R = StreamId("0c" * 16 + ":r")


def committed(ledger: Ledger, seq: int) -> str:
    return str(json.loads(ledger.leaf(seq).text)["words_commit"])


def redact(ledger: Ledger, *seqs: int, expected: int = 0) -> None:
    commits = tuple(committed(ledger, seq) for seq in seqs)
    append(ledger, R, EventsRedacted(seqs, commits), expected=expected)


class LedgerRedaction:
    """Subclasses have a fixture ``ledger`` on the folds of the application."""

    @pytest.fixture
    def told(self, ledger: Ledger) -> Ledger:
        append(ledger, P, created("secret"))
        append(ledger, Q, created("open"))
        append(ledger, P, ProjectRenamed("hidden"), expected=1)
        return ledger

    def test_the_words_are_gone_and_the_facts_and_the_others_stay(self, told: Ledger) -> None:
        redact(told, 1)
        assert [event.event.name for event in events(told, until=3)] == [ERASED, "open", "hidden"]
        leaf = told.leaf(1)
        assert (leaf.words, leaf.words_blind) == (None, None)
        assert leaf.facts

    def test_every_leaf_and_every_root_stays_as_it_was(self, told: Ledger) -> None:
        texts = [told.leaf(seq).text for seq in range(1, 4)]
        roots = [told.root(size) for size in range(4)]
        redact(told, 1, 3)
        assert [told.leaf(seq).text for seq in range(1, 4)] == texts
        assert [told.root(size) for size in range(4)] == roots

    def test_a_ledger_with_redactions_is_sound_once_its_rows_are_made_again(self, told: Ledger) -> None:
        redact(told, 1, 3)
        told.rebuild()
        assert list(told.verify()) == []
        row = told.views.find(ProjectRow, project_id=str(P))
        assert row is not None
        assert row.name is None
        assert told.views.find(ProjectRow, at=1, project_id=str(P)).name is None  # type: ignore[union-attr]

    def test_what_was_decided_is_decided_from_what_is_left(self, told: Ledger) -> None:
        redact(told, 1, 3)
        told.rebuild()
        append(told, P, ProjectRenamed("third"), expected=2)
        assert told.views.find(ProjectRow, project_id=str(P)).name == "third"  # type: ignore[union-attr]
        assert list(told.verify()) == []

    def test_redacting_again_changes_nothing_more(self, told: Ledger) -> None:
        redact(told, 1)
        before = [told.leaf(seq) for seq in range(1, 4)]
        redact(told, 1, 2, expected=1)
        assert [told.leaf(seq) for seq in (1, 3)] == [before[0], before[2]]
        told.rebuild()
        assert list(told.verify()) == []

    @pytest.mark.parametrize("seq", [1, 9])
    def test_words_with_another_commitment_are_left_alone(self, told: Ledger, seq: int) -> None:
        claim = EventsRedacted((2, seq), (committed(told, 2), "0" * 64))
        with pytest.raises(ConflictError, match=f"event {seq} has no words with this commitment"):
            append(told, R, claim)
        assert [event.event.name for event in events(told)] == ["secret", "open", "hidden"]

    def test_an_event_without_words_has_none_to_destroy(self, told: Ledger) -> None:
        redact(told, 1)
        with pytest.raises(ConflictError, match="event 4 has no words"):
            append(told, R, EventsRedacted((4,), ("0" * 64,)), expected=1)

    def test_a_redaction_that_is_undone_gives_the_words_back(self, told: Ledger) -> None:
        claim = EventsRedacted((1, 2), (committed(told, 1), committed(told, 2)))
        wrong = Append(P, 7, (ProjectRenamed("x"),))

        def decide(_: Any) -> Outcome:
            return Outcome((Append(R, 0, (claim,)), wrong))

        with pytest.raises(ConflictError):
            told.transact(command(), decide)
        with pytest.raises(RuntimeError):
            told.transact(command(), raising(RuntimeError("no")))
        assert [event.event.name for event in events(told)] == ["secret", "open", "hidden"]
        assert list(told.verify()) == []

    def test_what_was_answered_before_is_forgotten(self, ledger: Ledger) -> None:
        """Refusals say names, and an answer is kept beside a hash of what was asked for."""
        asked, refused, other = command("name it secret"), command("again"), command("something else")
        ledger.transact(asked, decided(Append(P, 0, (created("secret"),)), answer="secret"))
        with pytest.raises(RuleError, match="secret is taken"):
            ledger.transact(refused, raising(RuleError("secret is taken")))
        ledger.transact(other, decided(answer="like secret"))
        redact(ledger, 1)
        for each in (asked, refused, other):
            again = ledger.transact(each, decided(answer="nothing is known of it"))
            assert (again.answer, again.replayed) == ("nothing is known of it", False)

    def test_a_redaction_that_is_undone_keeps_the_answers(self, told: Ledger) -> None:
        asked = command("name it")
        told.transact(asked, decided(answer="named"))
        wrong = Append(P, 7, (ProjectRenamed("x"),))
        with pytest.raises(ConflictError):
            told.transact(command(), decided(Append(R, 0, (EventsRedacted((1,), (committed(told, 1),)),)), wrong))
        assert told.transact(asked, decided(answer="again")).answer == "named"
