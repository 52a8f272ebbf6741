"""Events come back from their wire form, old forms too; what is typed never stands among the facts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import attrs
import pytest
from attrs import frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from muniment.adapters.ledger.codec import UPCASTS, WIRE_NAMES, Codec, Fields, Upcast, Written
from muniment.domain.alias import AliasMoved
from muniment.domain.artifact import ArtifactCreated, TypeChanged, VersionCreated
from muniment.domain.decider import Event
from muniment.domain.errors import CorruptError, InvalidValueError
from muniment.domain.organisation import OrganisationCreated
from muniment.domain.registry import ProtectedAliasesSet, RegistryCreated, Visibility
from muniment.domain.run import RunStarted
from muniment.domain.values import (
    ERASED,
    Digest,
    OrganisationId,
    Personal,
    ProjectId,
    Role,
    SlotId,
    Ttl,
    VersionId,
)
from muniment.domain.version import Restored, TtlSet
from tests.events import CLASSES, erased, events, fields, tier, words_of

CODEC = Codec()
P, V = ProjectId("p" * 32), VersionId("v" * 32)
KEPT: Personal[Any] = Personal(SlotId("5" * 32), "c" * 64)
few = settings(max_examples=20)
"""Enough for one class of events: there are sixty of them."""
each_class = pytest.mark.parametrize("class_", CLASSES, ids=lambda class_: class_.__name__)


def decoded(written: Written, codec: Codec = CODEC) -> Any:
    return codec.decode(written.name, written.facts, written.words)


# --- there and back --------------------------------------------------------------------------------------------------


@each_class
def test_an_event_comes_back_from_its_wire_form(class_: type) -> None:
    @few
    @given(events(class_))
    def check(event: Any) -> None:
        assert decoded(CODEC.encode(event)) == event

    check()


@each_class
def test_an_event_whose_words_were_redacted_reads_erased_and_keeps_its_facts(class_: type) -> None:
    @few
    @given(events(class_))
    def check(event: Any) -> None:
        written = CODEC.encode(event)
        assert CODEC.decode(written.name, written.facts, None) == erased(event)

    check()


@each_class
def test_equal_events_have_equal_bytes_and_fields_in_order(class_: type) -> None:
    @few
    @given(events(class_))
    def check(event: Any) -> None:
        written = CODEC.encode(event)
        assert CODEC.encode(attrs.evolve(event)) == written
        for part in filter(None, (written.facts, written.words)):
            found = json.loads(part)
            again = json.dumps(found, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
            assert part.decode() == again

    check()


def test_a_word_that_says_erased_is_not_taken_for_an_erased_one() -> None:
    event = OrganisationCreated("erased")
    assert decoded(CODEC.encode(event)) == event


def test_an_event_whose_words_were_erased_cannot_be_written_again() -> None:
    with pytest.raises(InvalidValueError, match="erased"):
        CODEC.encode(OrganisationCreated(ERASED))


# --- what is where ---------------------------------------------------------------------------------------------------


@each_class
def test_what_people_typed_never_stands_among_the_facts(class_: type) -> None:
    canary = "canary-{}-canary"

    @few
    @given(events(class_, words=st.text(max_size=3).map(canary.format)))
    def check(event: Any) -> None:
        written = CODEC.encode(event)
        assert b"canary" not in written.facts
        facts: Fields = json.loads(written.facts)
        assert not facts.keys() & set(words_of(class_))
        assert {*json.loads(written.words or b"{}")} <= set(words_of(class_))
        assert (written.words is None) == (not words_of(class_))
        digests = [value for name in words_of(class_) if isinstance(value := getattr(event, name), str)]
        known = [value for value in digests if len(value) == 64 and value not in facts.values()]
        assert not [value for value in known if value.encode() in written.facts]

    check()


@each_class
def test_of_a_personal_value_an_event_holds_the_slot_and_the_commitment_only(class_: type) -> None:
    personal = [name for name, annotation in fields(class_).items() if tier(annotation) == "personal"]

    @few
    @given(events(class_))
    def check(event: Any) -> None:
        facts: Fields = json.loads(CODEC.encode(event).facts)
        for name in personal:
            value = getattr(event, name)
            assert facts.get(name) == (None if value is None else {"slot": value.slot, "commit": value.commit})

    check()


# --- what this version does not know ---------------------------------------------------------------------------------


@given(events(*CLASSES), st.dictionaries(st.sampled_from(["zz", "added_later", "x-y"]), st.none() | st.integers(0, 9)))
def test_unknown_fields_are_ignored(event: Any, more: dict[str, Any]) -> None:
    written = CODEC.encode(event)
    facts = json.dumps({**json.loads(written.facts), **more}).encode()
    words = None if written.words is None else json.dumps({**json.loads(written.words), **more}).encode()
    assert CODEC.decode(written.name, facts, words) == event


def test_an_unknown_name_is_refused_and_says_what_to_do() -> None:
    with pytest.raises(CorruptError, match=r"unknown event artifact\.painted\.1: .* newer Muniment — upgrade"):
        CODEC.decode("artifact.painted.1", b"{}", None)


def test_an_event_class_without_a_wire_name_cannot_be_written() -> None:
    @frozen
    class Painted(Event):
        colour: str

    with pytest.raises(TypeError, match="Painted has no wire name"):
        CODEC.encode(Painted("red"))


@pytest.mark.parametrize(
    ("name", "facts", "words"),
    [
        ("version.tagged.1", b"", b"{}"),
        ("version.tagged.1", b'{"tag_id":"1"', b'{"tag":"a"}'),
        ("version.tagged.1", b'{"tag_id":"1"}', b'{"tag":'),
        ("version.tagged.1", b'{"tag_id":"1"}', b"{}"),
        ("version.tagged.1", b'{"tag_id":"1"}', b"[]"),
        ("version.tagged.1", b'{"tag_id":"1"}', b'{"tag":"\xff"}'),
        ("version.tagged.1", b'{"tag_id":null}', b'{"tag":"a"}'),
        ("version.tagged.1", b'{"tag_id":1}', b'{"tag":"a"}'),
        ("version.tagged.1", b'{"tag_id":"1"}', b'{"tag":["a"]}'),
        ("version.purged.1", b'{"blobs":"1","size":2}', None),
        ("version.purged.1", b'{"blobs":1.0,"size":2}', None),
        ("version.purged.1", b'{"blobs":true,"size":2}', None),
        ("version.purged.1", b'{"blobs":' + b"9" * 5000 + b',"size":2}', None),
        ("version.ttl-set.1", b'{"ttl":{"rule":"sometimes"}}', None),
        ("version.ttl-set.1", b'{"ttl":7}', None),
        ("version.restored.1", b"[]", None),
        ("version.restored.1", b"7", None),
        ("version.restored.1", b"[" * 100_000, None),
        ("version.described.1", b'{"description":{"slot":"5"}}', None),
        ("organisation.role-set.1", b'{"principal_id":"a","role":"emperor"}', None),
    ],
)
def test_damaged_bytes_are_refused(name: str, facts: bytes, words: bytes | None) -> None:
    with pytest.raises(CorruptError, match=f"{name} cannot be read: its bytes are damaged — run `muniment fsck`"):
        CODEC.decode(name, facts, words)


@given(st.sampled_from(sorted(WIRE_NAMES)), st.binary(max_size=40), st.none() | st.binary(max_size=20))
def test_any_bytes_are_an_event_or_refused_as_corrupt(name: str, facts: bytes, words: bytes | None) -> None:
    try:
        found = CODEC.decode(name, facts, words)
    except CorruptError:
        return
    assert isinstance(found, WIRE_NAMES[name])


@given(events(*CLASSES), st.data())
def test_bytes_that_were_cut_are_refused(event: Any, data: st.DataObject) -> None:
    written = CODEC.encode(event)
    cut = written.facts[: data.draw(st.integers(0, len(written.facts) - 1))]
    with pytest.raises(CorruptError):
        CODEC.decode(written.name, cut, written.words)


# --- old forms -------------------------------------------------------------------------------------------------------


def _kind_became_type(old: Fields) -> Fields:
    """Rename a field; before 0, an artifact without a kind was a dataset."""
    return {**{key: value for key, value in old.items() if key != "kind"}, "type": old.get("kind", "dataset")}


def _project_got_its_full_name(old: Fields) -> Fields:
    return {**{key: value for key, value in old.items() if key != "project"}, "project_id": old["project"]}


def _label_became_type(old: Fields) -> Fields:
    return {"type": old["label"]} if "label" in old else {}


OLD: Mapping[str, Upcast] = {
    "artifact.born.1": Upcast("artifact.created.0", _project_got_its_full_name),
    "artifact.created.0": Upcast("artifact.created.1", _kind_became_type),
    "artifact.labelled.1": Upcast("artifact.type-changed.1", _label_became_type),
}
READER = Codec(upcasts=OLD)


def test_an_old_form_is_read_as_the_present_one() -> None:
    facts = b'{"project_id":"' + P.encode() + b'"}'
    found = READER.decode("artifact.created.0", facts, b'{"kind":"model","name":"net"}')
    assert found == ArtifactCreated(P, "net", "model")


def test_an_old_form_without_a_field_gets_what_the_upcast_gives_it() -> None:
    found = READER.decode("artifact.created.0", b'{"project_id":"' + P.encode() + b'"}', b'{"name":"net"}')
    assert found == ArtifactCreated(P, "net", "dataset")


def test_a_form_older_than_that_takes_both_steps() -> None:
    facts = b'{"description":{"commit":"c","slot":"5"},"project":"' + P.encode() + b'"}'
    found = READER.decode("artifact.born.1", facts, b'{"kind":"model","name":"net"}')
    assert found == ArtifactCreated(P, "net", "model", Personal(SlotId("5"), "c"))


def test_an_old_form_whose_words_were_redacted_reads_erased() -> None:
    assert READER.decode("artifact.labelled.1", b"{}", b'{"label":"model"}') == TypeChanged("model")
    assert READER.decode("artifact.labelled.1", b"{}", None) == TypeChanged(ERASED)
    found = READER.decode("artifact.born.1", b'{"project":"' + P.encode() + b'"}', None)
    assert found == ArtifactCreated(P, ERASED, "dataset")


def test_what_was_a_fact_when_the_form_held_no_words_is_no_erased_word() -> None:
    codec = Codec(upcasts={"artifact.typed.1": Upcast("artifact.type-changed.1", lambda old: {"type": old["kind"]})})
    assert codec.decode("artifact.typed.1", b'{"kind":"model"}', None) == TypeChanged("model")


def test_an_old_form_with_damaged_bytes_is_refused_under_the_name_that_it_has() -> None:
    with pytest.raises(CorruptError, match=r"an event artifact\.born\.1 cannot be read"):
        READER.decode("artifact.born.1", b"{}", b"{}")


def test_what_is_written_is_always_the_present_form() -> None:
    assert READER.encode(TypeChanged("model")).name == "artifact.type-changed.1"


def same(old: Fields) -> Fields:
    return old


@pytest.mark.parametrize(
    ("names", "upcasts", "wrong"),
    [
        (WIRE_NAMES, {"a.1": Upcast("nowhere.1", same)}, r"lead nowhere \(\['a\.1'\]\)"),
        (WIRE_NAMES, {"a.1": Upcast("b.1", same), "b.1": Upcast("c.1", same)}, r"lead nowhere \(\['a\.1', 'b\.1'\]\)"),
        (WIRE_NAMES, {"a.1": Upcast("b.1", same), "b.1": Upcast("a.1", same)}, r"lead nowhere \(\['a\.1', 'b\.1'\]\)"),
        (WIRE_NAMES, {"a.1": Upcast("a.1", same)}, r"lead nowhere \(\['a\.1'\]\)"),
        (
            WIRE_NAMES,
            {"version.restored.1": Upcast("version.purged.1", same)},
            r"in use \(\['version\.restored\.1'\]\)",
        ),
        ({**WIRE_NAMES, "version.back.1": Restored}, {}, "two names: .*Restored"),
    ],
)
def test_a_codec_that_could_not_read_what_it_is_told_is_refused_at_once(
    names: Mapping[str, type], upcasts: Mapping[str, Upcast], wrong: str
) -> None:
    with pytest.raises(ValueError, match=wrong):
        Codec(names, upcasts)


def test_the_old_names_and_the_present_ones_are_apart() -> None:
    assert not UPCASTS.keys() & WIRE_NAMES.keys()
    assert len(set(WIRE_NAMES.values())) == len(WIRE_NAMES)


# --- a few by hand ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "event",
    [
        VersionCreated(V, Digest("d" * 64), Digest("e" * 64), 1, 1, ttl=Ttl.after(500_000), sources=(V, V)),
        VersionCreated(V, Digest("d" * 64), Digest("e" * 64), 2**53, 10_000_000, description=KEPT, metadata=KEPT),
        RunStarted(P, "k", "n", tags=("a", "\u2603", 'quo"te', "line\nbreak")),
        RegistryCreated(OrganisationId("o"), "r", core=False, visibility=Visibility.ORGANISATION, all_types=True),
        ProtectedAliasesSet((), ("production",)),
        AliasMoved(V, alias="h\u00e4lt \u4e2d"),
        TtlSet(Ttl.after(1)),
    ],
)
def test_the_awkward_ones_come_back(event: Any) -> None:
    assert decoded(CODEC.encode(event)) == event


def test_roles_are_written_by_name_so_that_their_order_may_change() -> None:
    assert [role.value for role in Role] == ["restricted_viewer", "viewer", "member", "admin"]
