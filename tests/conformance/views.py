"""What every views adapter promises: tests to inherit; ``views_machine`` drives it by chance."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from attrs import evolve

from muniment.domain.errors import StorageError
from muniment.domain.rows import (
    AliasRow,
    Cell,
    Close,
    Insert,
    Patch,
    Put,
    TimelineRow,
    VersionRow,
)
from muniment.domain.values import ArtifactId, PrincipalId, StreamId, VersionId
from tests.conformance.lineage import LineageConformance
from tests.conformance.stand import Stand


def alias(slot: str, owner: str = "o", name: str | None = "best", target: str | None = "v0") -> AliasRow:
    return AliasRow(StreamId(slot), owner, name, None if target is None else VersionId(target))


def version(name: str, index: int = 0, *, state: str = "committed", at: int = 1) -> VersionRow:
    return VersionRow(
        version_id=VersionId(name),
        artifact_id=ArtifactId("a"),
        index=index,
        digest="d",
        manifest="m",
        size=1,
        entries=1,
        run_id=None,
        actor=PrincipalId("p"),
        created_at=at,
        created_seq=at,
        updated_at=at,
        state=state,
        description=None,
        metadata=None,
        ttl_rule="inherit",
        ttl_micros=None,
        deleted_at=None,
        unlinked_at=None,
    )


class ViewsConformance(LineageConformance):
    """Inherit this and give a fixture called ``stand``."""

    def test_what_is_inserted_is_found_by_its_key_and_by_its_unique_columns(self, stand: Stand) -> None:
        stand.apply([Insert(alias("s"))], 1)
        assert stand.views.find(AliasRow, slot="s") == alias("s")
        assert stand.views.find(AliasRow, alias="best", owner_id="o") == alias("s")
        assert stand.views.find(AliasRow, slot="t") is None

    def test_columns_called_like_sql_words_work(self, stand: Stand) -> None:
        stand.apply([Insert(version("v", 7))], 1)
        assert stand.views.find(VersionRow, artifact_id="a", index=7) == version("v", 7)

    def test_put_takes_the_place_of_the_live_row_and_both_are_remembered(self, stand: Stand) -> None:
        stand.apply([Put(alias("s"))], 1)
        stand.apply([Put(alias("s", target="v1"))], 2)
        assert stand.views.find(AliasRow, slot="s") == alias("s", target="v1")
        assert [stand.views.find(AliasRow, slot="s", at=seq) for seq in (0, 1, 2, 9)] == [
            None,
            alias("s"),
            alias("s", target="v1"),
            alias("s", target="v1"),
        ]

    def test_patch_changes_some_columns_and_leaves_the_rest(self, stand: Stand) -> None:
        stand.apply([Insert(version("v"))], 1)
        stand.apply([Patch(VersionRow, ("v",), {"updated_at": 5, "state": "deleted", "deleted_at": 5})], 2)
        expected = evolve(version("v"), state="deleted", deleted_at=5, updated_at=5)
        assert stand.views.find(VersionRow, version_id="v") == expected
        assert stand.views.find(VersionRow, version_id="v", at=1) == version("v")

    def test_patch_and_close_without_a_live_row_do_nothing(self, stand: Stand) -> None:
        empty = stand.dump()
        stand.apply([Patch(VersionRow, ("v",), {"state": "deleted"}), Close(VersionRow, ("v",))], 1)
        assert stand.dump() == empty
        stand.apply([Insert(version("v"))], 2)
        stand.apply([Close(VersionRow, ("v",))], 3)
        closed = stand.dump()
        stand.apply([Patch(VersionRow, ("v",), {"state": "deleted"}), Close(VersionRow, ("v",))], 4)
        assert stand.dump() == closed

    @pytest.mark.parametrize("columns", [{"version_id": "w"}, {"colour": 1}])
    def test_patch_of_the_key_or_an_unknown_column_is_a_programming_error(
        self, stand: Stand, columns: Mapping[str, Cell]
    ) -> None:
        with pytest.raises(ValueError, match="versions has no column"):
            stand.apply([Patch(VersionRow, ("v",), columns)], 1)

    def test_a_closed_row_is_gone_now_and_still_there_then(self, stand: Stand) -> None:
        stand.apply([Insert(alias("s"))], 1)
        stand.apply([Close(AliasRow, ("s",))], 4)
        assert stand.views.find(AliasRow, slot="s") is None
        assert stand.views.find(AliasRow, owner_id="o", alias="best") is None
        assert stand.views.find(AliasRow, owner_id="o", alias="best", at=3) == alias("s")
        assert stand.views.find(AliasRow, owner_id="o", alias="best", at=4) is None

    def test_a_freed_unique_value_is_found_with_its_owner_of_then(self, stand: Stand) -> None:
        for turn in range(4):
            stand.apply([Insert(alias(f"s{turn}"))], 2 * turn + 1)
            stand.apply([Close(AliasRow, (f"s{turn}",))], 2 * turn + 2)
        found = [stand.views.find(AliasRow, owner_id="o", alias="best", at=seq) for seq in range(1, 9)]
        assert found == [alias("s0"), None, alias("s1"), None, alias("s2"), None, alias("s3"), None]

    def test_what_begins_and_ends_in_one_event_was_never_there(self, stand: Stand) -> None:
        stand.apply([Insert(alias("s")), Put(alias("s", target="v1"))], 3)
        assert stand.views.find(AliasRow, slot="s", at=3) == alias("s", target="v1")
        stand.apply([Close(AliasRow, ("s",)), Insert(alias("s", target="v2")), Close(AliasRow, ("s",))], 4)
        for at in (None, 4, 5):
            assert stand.views.find(AliasRow, slot="s", at=at) is None
            assert stand.views.find(AliasRow, owner_id="o", alias="best", at=at) is None
            assert stand.views.select(AliasRow, owner_id="o", order="alias", at=at) == []
            assert stand.views.count(AliasRow, owner_id="o", order="alias", at=at) == 0
        assert stand.views.find(AliasRow, owner_id="o", alias="best", at=3) == alias("s", target="v1")

    def test_several_patches_in_one_event_leave_one_row(self, stand: Stand) -> None:
        stand.apply([Insert(version("v")), Patch(VersionRow, ("v",), {"size": 2})], 1)
        stand.apply([Patch(VersionRow, ("v",), {"size": 3}), Patch(VersionRow, ("v",), {"entries": 4})], 2)
        assert stand.views.find(VersionRow, version_id="v", at=1) == evolve(version("v"), size=2)
        assert stand.views.find(VersionRow, version_id="v") == evolve(version("v"), size=3, entries=4)
        assert len([line for line in stand.dump() if line.startswith(b'["v"')]) == 2

    def test_two_live_rows_with_the_same_unique_columns_are_refused(self, stand: Stand) -> None:
        stand.apply([Insert(alias("s"))], 1)
        with pytest.raises(StorageError, match="rows of aliases contradict each other"):
            stand.apply([Insert(alias("t"))], 2)

    def test_two_live_rows_with_one_key_in_one_event_are_refused(self, stand: Stand) -> None:
        stand.apply([Insert(TimelineRow("x", 1))], 1)
        with pytest.raises(StorageError, match="rows of timeline contradict each other"):
            stand.apply([Insert(TimelineRow("x", 1))], 1)

    def test_erased_words_never_clash_and_identify_nothing(self, stand: Stand) -> None:
        stand.apply([Insert(alias("s", name=None)), Insert(alias("t", name=None))], 1)
        assert stand.views.find(AliasRow, owner_id="o", alias=None) is None
        assert stand.views.find(AliasRow, owner_id="o", alias=None, at=1) is None
        assert stand.views.select(AliasRow, owner_id="o", order="alias") == [
            alias("s", name=None),
            alias("t", name=None),
        ]

    def test_rows_come_in_order_page_by_page_both_ways(self, stand: Stand) -> None:
        names = ["b", "ä", "a", "B", "10", "9", "\U0001f600", "\uffff"]
        stand.apply([Insert(alias(f"s{place}", name=name)) for place, name in enumerate(names)], 1)
        for descending in (False, True):
            pages: list[str | None] = []
            while page := stand.views.select(
                AliasRow,
                owner_id="o",
                order="alias",
                after=pages[-1] if pages else None,
                limit=3,
                descending=descending,
            ):
                pages += [row.alias for row in page]
            assert pages == sorted(names, reverse=descending)

    def test_erased_order_columns_come_first_going_up_and_last_going_down(self, stand: Stand) -> None:
        stand.apply([Insert(alias(f"s{name}", name=name)) for name in ("a", None, "b")], 1)
        stand.apply([Close(AliasRow, ("sa",))], 2)

        def names(
            after: str | None = None, *, descending: bool = False, at: int | None = None, limit: int | None = None
        ) -> list[str | None]:
            found = stand.views.select(
                AliasRow, owner_id="o", order="alias", after=after, descending=descending, at=at, limit=limit
            )
            return [row.alias for row in found]

        assert names() == [None, "b"]
        assert names(descending=True) == ["b", None]
        assert names(descending=True, after="b") == [None]
        assert names(descending=True, after="b", at=1) == ["a", None]
        assert names(descending=True, after="b", at=1, limit=1) == ["a"]
        assert names(after="a", at=1) == ["b"]

    def test_rows_that_tie_come_in_the_order_of_their_keys(self, stand: Stand) -> None:
        stand.apply([Insert(version(name, place, at=5)) for place, name in enumerate("cab")], 1)
        stand.apply([Insert(version("d", 4, at=6))], 2)
        for descending, expected in ((False, "abcd"), (True, "dabc")):
            for at in (None, 2):
                found = stand.views.select(
                    VersionRow, state="committed", order="created_at", descending=descending, at=at
                )
                assert "".join(row.version_id for row in found) == expected

    def test_equality_with_none_selects_rows_without_a_value(self, stand: Stand) -> None:
        stand.apply([Insert(version("v")), Insert(alias("s", target=None)), Insert(alias("t", "p"))], 1)
        assert stand.views.select(VersionRow, run_id=None, order="created_seq") == [version("v")]
        assert stand.views.select(AliasRow, version_id=None, order="alias") == [alias("s", target=None)]
        assert stand.views.count(AliasRow, version_id=None, order="alias", at=1) == 1

    def test_counts_are_of_now_or_then(self, stand: Stand) -> None:
        for seq in range(1, 6):
            stand.apply([Insert(version(f"v{seq}", seq))], seq)
        stand.apply([Patch(VersionRow, ("v1",), {"state": "deleted"}), Close(VersionRow, ("v2",))], 6)

        def count(at: int | None = None) -> int:
            return stand.views.count(VersionRow, artifact_id="a", state="committed", order="index", at=at)

        assert [count(seq) for seq in range(7)] == [0, 1, 2, 3, 4, 5, 3]
        assert count() == 3
        assert stand.views.count(VersionRow, artifact_id="a", order="index") == 4

    def test_rows_of_many_values_are_gathered_at_once_as_of_now_or_then(self, stand: Stand) -> None:
        stand.apply([Insert(version("v0")), Insert(version("v1", 1)), Insert(version("v2", 2))], 1)
        stand.apply([Insert(alias("s0")), Insert(alias("s1", name="a")), Insert(alias("s2", "p"))], 2)
        stand.apply([Patch(VersionRow, ("v1",), {"state": "deleted"}), Close(AliasRow, ("s0",))], 3)

        def keys(*ids: Cell, at: int | None = None) -> list[str]:
            found = stand.views.gather(VersionRow, "version_id", ids, at=at)
            return sorted(f"{row.version_id} {row.state}" for row in found)

        def slots(*owners: Cell, at: int | None = None) -> list[str]:
            return sorted(row.slot for row in stand.views.gather(AliasRow, "owner_id", owners, at=at))

        assert keys("v1", "v0", "v1", "none") == ["v0 committed", "v1 deleted"]
        assert keys("v1", "v2", at=2) == ["v1 committed", "v2 committed"]
        assert [keys(at=1), keys("v0", at=0), keys(None, "\0", "\ud800", 2**80)] == [[], [], []]
        assert (slots("o", "p"), slots("o", "p", at=2), slots("q")) == (["s1", "s2"], ["s0", "s1", "s2"], [])
        several = stand.views.gather(VersionRow, "state", ("committed", "deleted"), artifact_id="a")
        assert len(several) == 3
        with pytest.raises(ValueError, match="no key and no lookup"):
            stand.views.gather(VersionRow, "digest", ("d",))

    def test_lookups_that_the_table_does_not_declare_are_programming_errors(self, stand: Stand) -> None:
        with pytest.raises(ValueError, match="no key and no unique set"):
            stand.views.find(AliasRow, alias="best")
        with pytest.raises(ValueError, match="no lookup by"):
            stand.views.select(AliasRow, alias="best", order="owner_id")
        with pytest.raises(ValueError, match="no lookup by"):
            stand.views.count(AliasRow, owner_id="o", order="slot")

    def test_values_that_no_column_can_hold_equal_nothing(self, stand: Stand) -> None:
        stand.apply([Insert(version("v", 3))], 1)
        assert stand.views.find(VersionRow, artifact_id="a", index=10**30) is None
        assert stand.views.find(AliasRow, owner_id="o", alias="\ud800") is None
        assert stand.views.select(VersionRow, artifact_id="\ud800", order="index") == []
        assert stand.views.count(VersionRow, artifact_id="\ud800", order="index") == 0
        for after, rows in ((10**30, [version("v", 3)]), (-(10**30), [])):
            assert stand.views.select(VersionRow, artifact_id="a", order="index", after=after, descending=True) == rows

    def test_a_limit_or_an_event_beyond_all_others_cuts_nothing_off(self, stand: Stand) -> None:
        rows = [version("v", 3), version("w", 4)]
        stand.apply([Insert(row) for row in rows], 1)
        for beyond in (2**63 - 1, 2**63, 10**30):
            assert stand.views.select(VersionRow, artifact_id="a", order="index", limit=beyond, at=beyond) == rows
            assert stand.views.find(VersionRow, version_id="v", at=beyond) == rows[0]
            assert stand.views.count(VersionRow, artifact_id="a", order="index", at=beyond) == len(rows)
            assert len(stand.views.gather(VersionRow, "version_id", ["v", "w"], at=beyond)) == len(rows)

    def test_clear_leaves_nothing_and_applying_again_gives_the_same_bytes(self, stand: Stand) -> None:
        def fill() -> list[bytes]:
            stand.apply([Insert(version("v")), Insert(alias("s")), Insert(TimelineRow("a", 1))], 1)
            stand.apply([Put(alias("s", target="v9")), Close(VersionRow, ("v",))], 2)
            return stand.dump()

        empty, full = stand.dump(), fill()
        assert b'["s","o","best","v0",1,2]\n' in full
        assert b'["s","o","best","v9",2,null]\n' in full
        stand.clear()
        assert stand.dump() == empty
        assert stand.views.find(AliasRow, slot="s") is None
        assert fill() == full

    def test_what_is_taken_back_never_happened(self, stand: Stand) -> None:
        stand.apply([Insert(version("v")), Insert(alias("s"))], 1)
        before = stand.dump()
        stand.begin()
        stand.apply([Patch(VersionRow, ("v",), {"size": 2}), Patch(VersionRow, ("v",), {"size": 3})], 2)
        stand.apply([Close(AliasRow, ("s",)), Insert(alias("t")), Close(AliasRow, ("t",)), Put(alias("t"))], 3)
        stand.clear()
        stand.apply([Insert(alias("u"))], 4)
        stand.back()
        assert stand.dump() == before
        assert stand.views.find(AliasRow, owner_id="o", alias="best") == alias("s")
        assert stand.views.select(VersionRow, artifact_id="a", order="index") == [version("v")]
