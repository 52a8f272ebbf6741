"""What every ledger must do with commands: all or nothing, once, and refusals on record."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve

from muniment.adapters.ledger.core import COMMANDS_KEPT
from muniment.app.transact import new_id
from muniment.domain import project
from muniment.domain.errors import (
    AliasProtectedError,
    CommandReusedError,
    ConflictError,
    InvalidValueError,
    NameTakenError,
    NotFoundError,
    PermissionDeniedError,
    StorageError,
)
from muniment.domain.merkle import EMPTY_ROOT
from muniment.domain.ports import (
    Append,
    Ledger,
    Outcome,
    Receipt,
    Transaction,
)
from muniment.domain.principal import Denied, VersionDownloaded, access_stream
from muniment.domain.project import ProjectRenamed
from muniment.domain.rows import ProjectRow, TimelineRow
from muniment.domain.values import (
    Audit,
    PrincipalId,
    ProjectId,
    VersionId,
)
from tests.conformance.ledger_acts import (
    ACTOR,
    CONTEXT,
    START,
    TEAM,
    Counted,
    Dial,
    P,
    Print,
    Q,
    append,
    command,
    created,
    decided,
    events,
    raising,
)


class LedgerWriting:
    """The part about commands; ``LedgerConformance`` is the whole suite."""

    # --- one transaction -------------------------------------------------------------------------------------------

    def test_an_empty_ledger_has_the_root_of_nothing(self, ledger: Ledger) -> None:
        assert (ledger.head().size, ledger.head().root) == (0, EMPTY_ROOT)
        assert (events(ledger), ledger.at(START * 2), ledger.root(0), list(ledger.verify())) == ([], 0, EMPTY_ROOT, [])

    def test_events_of_several_streams_come_in_one_dense_order(self, ledger: Ledger) -> None:
        appends = (Append(P, 0, (created("p"), ProjectRenamed("q"))), Append(Q, 0, (created("r"),)))
        receipt = ledger.transact(command(), decided(*appends, answer={"a": [1]}))
        assert receipt == Receipt({"a": [1]}, 1, 3)
        found = [(each.seq, each.stream, each.position, each.event) for each in events(ledger)]
        assert found == [(1, P, 1, created("p")), (2, P, 2, ProjectRenamed("q")), (3, Q, 1, created("r"))]

    def test_the_envelope_says_who_when_for_whom_and_why(self, ledger: Ledger) -> None:
        why: dict[str, Any] = {
            "on_behalf_of": new_id(),
            "run": new_id(),
            "request": "req-1",
            "correlation": "cor-1",
            "causation": new_id(),
            "source": "cli",
        }
        wanted = command(**why)
        ledger.transact(wanted, decided(Append(P, 0, (created("p"),))))
        (found,) = events(ledger)
        assert {name: getattr(found, name) for name in why} == why
        assert (found.organisation, found.actor, found.command) == (CONTEXT.organisation, ACTOR, wanted.id)
        assert (found.type, found.audit, found.outcome) == ("project.created.1", Audit.CHANGE, "ok")
        assert found.recorded_at == START
        assert len(found.event_id) == 32

    def test_appending_to_one_stream_twice_in_a_command_goes_on_where_it_was(self, ledger: Ledger) -> None:
        ledger.transact(
            command(), decided(Append(P, 0, (created("p"),)), Append(P, 1, (ProjectRenamed("q"), ProjectRenamed("r"))))
        )
        assert [each.position for each in events(ledger)] == [1, 2, 3]

    @pytest.mark.parametrize("expected", [0, 2, -1])
    def test_a_wrong_position_in_one_stream_leaves_nothing_in_any(self, ledger: Ledger, expected: int) -> None:
        append(ledger, Q, created("q"))
        before = Print.of(ledger)
        appends = (Append(P, 0, (created("p"),)), Append(Q, expected, (ProjectRenamed("x"),)))
        with pytest.raises(ConflictError, match=Q):
            ledger.transact(command(), decided(*appends))
        assert Print.of(ledger) == before
        assert list(ledger.verify()) == []

    def test_rows_and_events_are_there_together(self, ledger: Ledger) -> None:
        append(ledger, P, created("p"))
        assert ledger.views.find(ProjectRow, team_id=TEAM, name="p") == ProjectRow(ProjectId(P), TEAM, "p", START)

    def test_a_decision_sees_rows_streams_and_scratch_as_committed_and_its_own_scratch(self, ledger: Ledger) -> None:
        append(ledger, P, created("p"))
        seen: list[object] = []

        def decide(transaction: Transaction) -> Outcome:
            transaction.scratch.put("note", "k", [1])
            row = transaction.views.find(ProjectRow, project_id=P)
            state, position = transaction.load(project.PROJECT, P)
            seen.extend(
                [row and row.name, state, position, transaction.position(Q), transaction.scratch.get("note", "k")]
            )
            return Outcome()

        ledger.transact(command(), decide)
        wanted = project.PROJECT.fold([created("p")])
        assert seen == ["p", wanted, 1, 0, [1]]

    def test_rows_that_contradict_each_other_leave_nothing(self, ledger: Ledger) -> None:
        append(ledger, P, created("same"))
        before = Print.of(ledger)
        with pytest.raises(StorageError):
            append(ledger, Q, created("same"))
        assert Print.of(ledger) == before
        append(ledger, Q, created("other"))
        assert list(ledger.verify()) == []

    # --- commands --------------------------------------------------------------------------------------------------

    def test_the_same_command_again_gets_the_same_answer_and_does_nothing(self, ledger: Ledger) -> None:
        wanted = command(asked={"b": 1, "a": [2]})
        decide = Counted(Outcome((Append(P, 0, (created("p"),)),), {"made": P}))
        first = ledger.transact(wanted, decide)
        again = ledger.transact(evolve(wanted, request={"a": [2], "b": 1}), decide)
        assert again == evolve(first, replayed=True)
        assert (decide.calls, ledger.head().size) == (1, 1)

    def test_a_command_that_did_nothing_is_answered_again_too(self, ledger: Ledger) -> None:
        wanted, decide = command(), Counted(Outcome((), "nothing to do"))
        assert ledger.transact(wanted, decide) == Receipt("nothing to do")
        assert ledger.transact(wanted, decide) == Receipt("nothing to do", replayed=True)
        assert decide.calls == 1

    def test_a_refused_command_is_refused_again_and_recorded_once(self, ledger: Ledger) -> None:
        wanted = command(target="thing")
        for _ in range(2):
            with pytest.raises(AliasProtectedError, match="ask an admin"):
                ledger.transact(wanted, raising(AliasProtectedError("ask an admin")))
        assert [each.event for each in events(ledger)] == [Denied("AliasProtectedError", "thing")]

    @pytest.mark.parametrize("decide", [decided(answer=1), raising(NameTakenError("taken"))])
    def test_a_command_id_used_for_another_request_is_an_error(
        self, ledger: Ledger, decide: Callable[[Transaction], Outcome]
    ) -> None:
        wanted = command(asked=["log", 1])
        try:
            ledger.transact(wanted, decide)
        except NameTakenError:
            assert ledger.head().size == 1
        before = Print.of(ledger)
        with pytest.raises(CommandReusedError):
            ledger.transact(evolve(wanted, request=["log", 2]), decided(Append(P, 0, (created("p"),))))
        assert Print.of(ledger) == before

    def test_command_ids_are_those_of_their_actor(self, ledger: Ledger) -> None:
        wanted = command()
        ledger.transact(wanted, decided(answer="mine"))
        other = evolve(wanted, context=evolve(CONTEXT, actor=PrincipalId("be" * 16)))
        assert ledger.transact(other, decided(answer="yours")) == Receipt("yours")

    def test_after_thirty_days_a_command_id_is_forgotten(self, ledger: Ledger, dial: Dial) -> None:
        wanted, decide = command(), Counted(Outcome((), 1))
        ledger.transact(wanted, decide)
        dial.now += COMMANDS_KEPT
        assert ledger.transact(wanted, decide).replayed
        dial.now += 1
        assert not ledger.transact(wanted, decide).replayed
        assert ledger.transact(wanted, decide).replayed
        assert decide.calls == 2

    # --- refusals and failures -------------------------------------------------------------------------------------

    def test_a_refusal_is_recorded_on_the_access_stream_and_leaves_nothing_else(self, ledger: Ledger) -> None:
        append(ledger, P, created("p"))
        with pytest.raises(PermissionDeniedError):
            ledger.transact(command(target=P), raising(PermissionDeniedError("not you")))
        found = events(ledger)[-1]
        assert (found.stream, found.position) == (access_stream(ACTOR), 1)
        assert (found.event, found.outcome) == (Denied("PermissionDeniedError", P), "denied")
        assert found.audit is Audit.SECURITY
        assert ledger.scratch.items("note") == []
        assert ledger.views.find(TimelineRow, subject_id=P, event_seq=found.seq) is not None
        assert list(ledger.verify()) == []

    @pytest.mark.parametrize(
        "error", [KeyError("x"), ZeroDivisionError(), ConflictError("late"), NotFoundError("gone")]
    )
    def test_any_other_error_leaves_nothing_at_all(self, ledger: Ledger, error: Exception) -> None:
        before = Print.of(ledger)
        wanted = command()
        with pytest.raises(type(error)):
            ledger.transact(wanted, raising(error))
        assert Print.of(ledger) == before
        assert not ledger.transact(wanted, decided(answer=1)).replayed

    def test_an_event_that_cannot_be_written_leaves_nothing(self, ledger: Ledger) -> None:
        before = Print.of(ledger)
        with pytest.raises((KeyError, TypeError)):
            append(ledger, P, created("p"), object())
        assert Print.of(ledger) == before
        append(ledger, P, created("p"))
        assert list(ledger.verify()) == []

    def test_an_answer_that_is_no_json_leaves_nothing(self, ledger: Ledger) -> None:
        before = Print.of(ledger)
        with pytest.raises(TypeError):
            ledger.transact(command(), decided(Append(P, 0, (created("p"),)), answer=object()))
        assert Print.of(ledger) == before
        append(ledger, P, created("p"))
        assert list(ledger.verify()) == []

    @pytest.mark.parametrize(
        ("event", "why"),
        [
            (project.ProjectCreated(TEAM, "a\0b"), "NUL"),
            (project.ProjectCreated(TEAM, "a\ud800b"), "surrogate"),
            (VersionDownloaded(VersionId("aa"), 1, 2**63 - 1), None),
            (VersionDownloaded(VersionId("aa"), 1, 2**63), "64 bits"),
            (VersionDownloaded(VersionId("aa"), -(10**400), 1), "64 bits"),
            (project.ProjectCreated(TEAM, "\\u0000 of 9999999999999999999999"), None),
        ],
    )
    def test_what_not_every_database_can_hold_is_refused_and_nothing_else(
        self, ledger: Ledger, event: object, why: str | None
    ) -> None:
        if why is None:
            append(ledger, P, event)
            assert events(ledger)[0].event == event
            return
        with pytest.raises(InvalidValueError, match=why):
            append(ledger, P, event)
        assert [each.event for each in events(ledger)] == [Denied("InvalidValueError", None)]

    def test_a_request_that_is_no_text_is_refused(self, ledger: Ledger) -> None:
        with pytest.raises(InvalidValueError, match="surrogate"):
            ledger.transact(command(["\ud800"]), decided())
        assert ledger.head().size == 0
