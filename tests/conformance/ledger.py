"""What every ledger must do, in sentences. The rules come from elsewhere: here a decision is whatever a test says."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

import pytest

from muniment.domain import alias, artifact, principal, project
from muniment.domain.errors import (
    ConflictError,
    NotFoundError,
)
from muniment.domain.merkle import EMPTY_ROOT, leaf_hash, tree_root
from muniment.domain.ports import (
    Append,
    Ledger,
    Outcome,
    Transaction,
)
from muniment.domain.principal import access_stream
from muniment.domain.project import ProjectRenamed
from muniment.domain.proof import Tree, verify_consistency, verify_inclusion
from muniment.domain.rows import ArtifactRow, ProjectRow
from muniment.domain.values import (
    ProjectId,
    StreamId,
    VersionId,
    alias_stream,
    numbering_stream,
)
from tests.conformance.ledger_acts import (
    ACTOR,
    START,
    Dial,
    P,
    Q,
    append,
    command,
    created,
    events,
    version,
)
from tests.conformance.ledger_commands import LedgerWriting
from tests.conformance.ledger_redaction import LedgerRedaction
from tests.conformance.ledger_turn import LedgerTurn


class LedgerConformance(LedgerWriting, LedgerRedaction, LedgerTurn):
    """Subclasses have a fixture ``ledger`` on the folds of the application, whose time is the fixture ``dial``."""

    @pytest.fixture
    def dial(self) -> Dial:
        return Dial()

    # --- time ------------------------------------------------------------------------------------------------------

    def test_recorded_at_rises_even_when_the_clock_stands_still_or_goes_back(self, ledger: Ledger, dial: Dial) -> None:
        append(ledger, P, created("p"), ProjectRenamed("q"))
        append(ledger, P, ProjectRenamed("r"), expected=2)
        dial.now -= 5_000_000
        append(ledger, P, ProjectRenamed("s"), expected=3)
        dial.now += 60_000_000
        append(ledger, P, ProjectRenamed("t"), expected=4)
        assert [each.recorded_at - START for each in events(ledger)] == [0, 1, 2, 3, 55_000_000]
        assert ledger.head().recorded_at == START + 55_000_000

    def test_the_time_that_a_decision_sees_is_that_of_its_first_event(self, ledger: Ledger, dial: Dial) -> None:
        append(ledger, P, created("p"))
        dial.now -= 1000
        seen = []

        def decide(transaction: Transaction) -> Outcome:
            seen.append(transaction.now)
            return Outcome((Append(P, 1, (ProjectRenamed("q"),)),))

        ledger.transact(command(), decide)
        assert seen == [events(ledger)[-1].recorded_at]

    def test_at_gives_the_last_event_of_any_moment(self, ledger: Ledger, dial: Dial) -> None:
        for position in range(5):
            append(ledger, P, ProjectRenamed(f"p{position}") if position else created("p"), expected=position)
            dial.now += 10
        moments = [ledger.at(START + offset) for offset in (-1, 0, 9, 10, 39, 40, 10**9)]
        assert moments == [0, 1, 1, 2, 4, 5, 5]

    # --- reading ---------------------------------------------------------------------------------------------------

    def test_reading_begins_and_ends_where_asked(self, ledger: Ledger) -> None:
        for position in range(4):
            append(ledger, P, version(), expected=position)
            append(ledger, Q, version(), expected=position)
        seqs = [each.seq for each in events(ledger)]
        assert seqs == list(range(1, 9))
        assert [each.seq for each in events(ledger, after=2, until=5)] == [3, 4, 5]
        assert [each.seq for each in events(ledger, after=2, limit=2)] == [3, 4]
        assert [each.seq for each in events(ledger, stream=Q)] == [2, 4, 6, 8]
        assert [each.seq for each in events(ledger, stream=Q, after=2, until=7, limit=5)] == [4, 6]
        assert [each.seq for each in events(ledger, stream=Q, limit=1)] == [2]
        assert events(ledger, limit=0) == events(ledger, stream=StreamId("none")) == events(ledger, after=8) == []

    def test_beyond_all_events_there_are_none(self, ledger: Ledger) -> None:
        append(ledger, P, created("p"), ProjectRenamed("q"))
        for beyond in (2**63 - 1, 2**63, 10**30):
            for stream in (None, P):
                assert len(events(ledger, after=-beyond, until=beyond, limit=beyond, stream=stream)) == 2
                assert events(ledger, after=beyond, stream=stream) == []
                assert events(ledger, until=-1, stream=stream) == events(ledger, limit=-1, stream=stream) == []
            for read in (ledger.leaf, ledger.root):
                with pytest.raises(NotFoundError):
                    read(beyond)
        for strange in ("a\0b", "\ud800"):
            assert events(ledger, stream=StreamId(strange)) == []

    def test_many_events_are_read_page_by_page(self, ledger: Ledger) -> None:
        append(ledger, Q, *(version() for _ in range(3)))
        append(ledger, P, *(version() for _ in range(2500)))
        assert [each.seq for each in ledger.read()] == list(range(1, 2504))
        assert [each.position for each in ledger.read(stream=P)] == list(range(1, 2501))
        assert [each.position for each in ledger.read(stream=P, after=1005, limit=1100)] == list(range(1003, 2103))

    def test_whoever_reads_while_others_write_sees_a_beginning_of_the_ledger(self, ledger: Ledger) -> None:
        append(ledger, P, *(version() for _ in range(1200)))
        reading = ledger.read()
        first = next(reading).seq
        append(ledger, P, version(), expected=1200)
        assert [first, *(each.seq for each in reading)] in ([*range(1, 1201)], [*range(1, 1202)])

    # --- the tree --------------------------------------------------------------------------------------------------

    def test_every_earlier_head_is_the_root_of_that_many_leaves(self, ledger: Ledger) -> None:
        heads = [ledger.head()]
        for position in range(9):
            append(ledger, P, version(), expected=position)
            heads.append(ledger.head())
        assert [head.size for head in heads] == list(range(10))
        assert [ledger.root(head.size) for head in heads] == [head.root for head in heads]
        assert len({head.root for head in heads}) == 10
        with pytest.raises(NotFoundError, match="9 events, not 10"):
            ledger.root(10)

    def test_equal_events_have_leaves_of_their_own(self, ledger: Ledger) -> None:
        append(ledger, P, created("p"), ProjectRenamed("p"), ProjectRenamed("p"))
        append(ledger, Q, created("q"), ProjectRenamed("q"))
        roots = [ledger.root(size) for size in range(6)]
        assert roots[1] != roots[0] == EMPTY_ROOT
        assert roots[2] != tree_root([roots[1], roots[1]])
        assert len(set(roots)) == 6

    def test_proofs_can_be_made_from_the_hashes_that_are_kept(self, ledger: Ledger) -> None:
        append(ledger, P, *(version() for _ in range(700)))
        root, size = ledger.head().root, 700
        assert [len(ledger.subtrees(1, 0, 9)), len(ledger.subtrees(2, 0, 9))] == [2, 0]
        leaves = list(ledger.subtrees(0, 0, size))
        assert (tree_root(leaves), tree_root(leaves[:256])) == (root, ledger.subtrees(1, 0, 1)[0])
        assert ledger.subtrees(0, 698, 800) == leaves[698:]
        tree = Tree(size, ledger.subtrees)
        assert tree.root() == root
        for index in (0, 255, 256, 511, 512, 699):
            verify_inclusion(index, size, leaf_hash(ledger.leaf(index + 1).text), tree.inclusion(index), root)
        for old in (1, 256, 300, 512, 699, 700):
            verify_consistency(old, size, tree.consistency(old), ledger.root(old), root)
        assert list(ledger.verify()) == []

    def test_a_command_that_is_undone_leaves_no_tiles(self, ledger: Ledger) -> None:
        append(ledger, P, *(version() for _ in range(200)))

        def fail(_: Transaction) -> Outcome:
            raise ZeroDivisionError

        for _ in range(2):
            with pytest.raises(ConflictError):
                ledger.transact(
                    command(),
                    lambda _: Outcome((Append(Q, 0, tuple(version() for _ in range(100))), Append(P, 7, (version(),)))),
                )
            with pytest.raises(ZeroDivisionError):
                ledger.transact(command(), fail)
        append(ledger, P, *(version() for _ in range(400)), expected=200)
        assert len(ledger.subtrees(1, 0, 9)) == 2
        assert list(ledger.verify()) == []

    def test_what_a_leaf_stands_for_can_be_shown(self, ledger: Ledger) -> None:
        append(ledger, P, created("p"))
        append(ledger, access_stream(ACTOR), principal.VersionUsed(VersionId("ee" * 16)))
        named, wordless = ledger.leaf(1), ledger.leaf(2)
        assert [leaf_hash(each.text) for each in (named, wordless)] == list(ledger.subtrees(0, 0, 2))
        leaf = json.loads(named.text)
        assert (leaf["seq"], leaf["type"], leaf["stream"]) == (1, "project.created.1", P)
        assert leaf["facts_commit"] == sha256(named.facts_blind + named.facts).hexdigest()
        assert named.words is not None
        assert named.words_blind is not None
        assert leaf["words_commit"] == sha256(named.words_blind + named.words).hexdigest()
        assert json.loads(named.words) == {"name": "p"}
        assert (wordless.words, wordless.words_blind) == (None, None)
        for seq in (0, 3):
            with pytest.raises(NotFoundError, match=f"no event {seq}"):
                ledger.leaf(seq)

    # --- projections -----------------------------------------------------------------------------------------------

    def test_access_events_change_no_rows(self, ledger: Ledger) -> None:
        rows = list(ledger.dump())
        append(ledger, access_stream(ACTOR), principal.VersionUsed(VersionId("ee" * 16)))
        assert list(ledger.dump()) == rows
        assert ledger.head().size == 1
        assert list(ledger.verify()) == []

    def test_rebuilding_makes_the_same_rows_byte_for_byte(self, ledger: Ledger) -> None:
        self.story(ledger)
        rows = list(ledger.dump())
        assert ledger.rebuild() == ledger.head().size
        assert list(ledger.dump()) == rows
        assert len(rows) > 30
        assert list(ledger.verify()) == []

    def test_rows_can_be_seen_as_of_any_event(self, ledger: Ledger) -> None:
        append(ledger, P, created("first"))
        append(ledger, P, ProjectRenamed("second"), expected=1)
        append(ledger, P, project.ProjectDeleted(), expected=2)
        rows = [ledger.views.find(ProjectRow, at=at, project_id=P) for at in range(5)]
        assert [row and row.name for row in rows] == [None, "first", "second", None, None]
        assert ledger.views.find(ProjectRow, project_id=P) is None

    def story(self, ledger: Ledger) -> None:
        """Let a few things happen, some of which undo others."""
        append(ledger, P, created("p"))
        append(ledger, Q, artifact.ArtifactCreated(ProjectId(P), "model", "model"))
        slot = alias_stream(Q, "1" * 32)
        for position in range(3):
            made = version(f"{position}{position}")
            append(ledger, numbering_stream(Q), made, expected=position)
            append(
                ledger, slot, alias.AliasMoved(made.version_id, alias=None if position else "best"), expected=position
            )
        append(ledger, slot, alias.AliasRemoved(made.version_id), expected=3)
        append(ledger, Q, artifact.ArtifactRenamed("renamed"), expected=1)
        assert ledger.views.find(ArtifactRow, project_id=P, name="renamed") is not None

    # --- scratch ---------------------------------------------------------------------------------------------------

    def test_scratch_rows_are_put_got_listed_and_deleted(self, ledger: Ledger) -> None:
        def act(transaction: Transaction) -> str:
            for key in ("b/2", "a/1", "b/1", "c"):
                transaction.scratch.put("note", key, {"k": key})
            transaction.scratch.put("other", "b/3", None)
            transaction.scratch.put("note", "c", [1, 2])
            transaction.scratch.delete("note", "a/1")
            transaction.scratch.delete("note", "absent")
            return "done"

        assert ledger.work(act) == "done"
        scratch = ledger.scratch
        assert scratch.items("note") == [("b/1", {"k": "b/1"}), ("b/2", {"k": "b/2"}), ("c", [1, 2])]
        assert scratch.items("note", "b/") == [("b/1", {"k": "b/1"}), ("b/2", {"k": "b/2"})]
        assert (scratch.get("note", "c"), scratch.get("note", "a/1"), scratch.get("nothing", "c")) == (
            [1, 2],
            None,
            None,
        )
        assert ledger.head().size == 0

    def test_expired_scratch_rows_read_as_absent(self, ledger: Ledger, dial: Dial) -> None:
        ledger.work(lambda transaction: transaction.scratch.put("lease", "l", 1, expires_at=START + 10))
        dial.now = START + 9
        assert (ledger.scratch.get("lease", "l"), ledger.scratch.items("lease")) == (1, [("l", 1)])
        dial.now = START + 10
        assert (ledger.scratch.get("lease", "l"), ledger.scratch.items("lease")) == (None, [])
        ledger.work(lambda transaction: transaction.scratch.put("lease", "l", 2))
        assert ledger.scratch.get("lease", "l") == 2

    def test_work_that_fails_leaves_no_scratch_rows(self, ledger: Ledger) -> None:
        ledger.work(lambda transaction: transaction.scratch.put("note", "kept", 1))

        def act(transaction: Transaction) -> None:
            transaction.scratch.put("note", "left", 1)
            transaction.scratch.delete("note", "kept")
            raise KeyError

        with pytest.raises(KeyError):
            ledger.work(act)
        assert ledger.scratch.items("note") == [("kept", 1)]

    def test_scratch_values_are_copies(self, ledger: Ledger) -> None:
        value = {"list": [1]}
        ledger.work(lambda transaction: transaction.scratch.put("note", "k", value))
        value["list"].append(2)
        found: Any = ledger.scratch.get("note", "k")
        found["list"].append(3)
        assert ledger.scratch.get("note", "k") == {"list": [1]}

    def test_after_closing_nothing_is_lost_that_a_ledger_keeps(self, ledger: Ledger) -> None:
        append(ledger, P, created("p"))
        ledger.close()
        assert ledger.head().size == 1
        append(ledger, P, ProjectRenamed("q"), expected=1)
        assert list(ledger.verify()) == []
