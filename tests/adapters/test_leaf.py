"""The leaf of an event is the RFC 8785 text of its envelope and commitments, with or without its words."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any, Final, TypeAlias

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from muniment.adapters.ledger.codec import Codec
from muniment.adapters.ledger.record import Record, leaf_of, leaf_text, recorded, whole
from muniment.domain.errors import CorruptError
from muniment.domain.ports import Recorded
from muniment.domain.proof import commit
from muniment.domain.values import ERASED, Audit
from muniment.domain.version import Tagged
from tests.events import CLASSES, IDS, TEXT, events

CODEC = Codec()
Columns: TypeAlias = dict[str, Any]
FACTS: Final = b'{"tag_id":"0123456789abcdef0123456789abcdef"}'
WORDS: Final = b'{"tag":"gold"}'
A: Any = "a" * 32
B: Any = "b" * 32
FULL: Final[Columns] = {
    "seq": 7,
    "stream": A,
    "position": 2,
    "type": "version.tagged.1",
    "facts": FACTS,
    "facts_blind": bytes(32),
    "words": WORDS,
    "words_blind": bytes([255]) * 32,
    "words_commit": None,
    "event_id": B,
    "recorded_at": 1_772_539_200_000_001,
    "org": A,
    "audit": "change",
    "outcome": "ok",
    "actor": B,
    "on_behalf_of": A,
    "run": B,
    "request": "req-1",
    "correlation": "cor-1",
    "causation": B,
    "command": A,
    "source": "sdk",
}
OPTIONAL: Final = ("words", "words_blind", "on_behalf_of", "run", "request", "correlation", "causation")
SHORT: Final[Columns] = {**FULL, **dict.fromkeys(OPTIONAL)}
# computed with: (printf '\0%.0s' $(seq 32); printf '{"tag_id":…}') | sha256sum, and with 32 bytes ff before the words
FACTS_COMMIT: Final = "47c7e5bd449a48823bd658681dddcf8cbc8ce4c6628bbe8b24a29a2742d7ef72"
WORDS_COMMIT: Final = "f9e2bdfd024dec8df9277b109c1cd5ca075b0648777f9f33a53431364990407d"
ID_A: Final = "a" * 32
ID_B: Final = "b" * 32

blobs = st.binary(max_size=40)
blinds = st.binary(min_size=32, max_size=32)
safe = st.integers(0, 2**53 - 1)
records: st.SearchStrategy[Columns] = st.builds(
    dict,
    seq=safe,
    stream=TEXT,
    position=safe,
    type=TEXT,
    facts=blobs,
    facts_blind=blinds,
    words=blobs,
    words_blind=blinds,
    words_commit=st.none(),
    event_id=IDS,
    recorded_at=safe,
    org=IDS,
    audit=st.sampled_from([each.value for each in Audit]),
    outcome=st.sampled_from(["ok", "denied", "failed"]),
    actor=IDS,
    on_behalf_of=st.none() | IDS,
    run=st.none() | IDS,
    request=st.none() | TEXT,
    correlation=st.none() | TEXT,
    causation=st.none() | IDS,
    command=IDS,
    source=TEXT,
)


def text_of(columns: Columns) -> bytes:
    return leaf_text(Record(**columns))


def without_words(columns: Columns) -> Columns:
    return {**columns, "words": None, "words_blind": None}


def redacted(columns: Columns) -> Columns:
    """Return the columns as redaction leaves them: words and blind gone, the commitment in their place."""
    kept = sha256(columns["words_blind"] + columns["words"]).digest()
    return {**without_words(columns), "words_commit": kept}


def read(columns: Columns) -> Recorded:
    return recorded(whole(Record(**columns)), CODEC)


def test_the_text_of_a_full_leaf() -> None:
    assert text_of(FULL).decode() == (
        f'{{"actor":"{ID_B}","causation":"{ID_B}","class":"change","command":"{ID_A}","correlation":"cor-1",'
        f'"event_id":"{ID_B}","facts_commit":"{FACTS_COMMIT}","on_behalf_of":"{ID_A}","org":"{ID_A}","outcome":"ok",'
        f'"position":2,"recorded_at":1772539200000001,"request":"req-1","run":"{ID_B}","seq":7,"source":"sdk",'
        f'"stream":"{ID_A}","type":"version.tagged.1","v":1,"words_commit":"{WORDS_COMMIT}"}}'
    )


def test_what_is_absent_is_left_out_of_the_leaf() -> None:
    assert text_of(SHORT).decode() == (
        f'{{"actor":"{ID_B}","class":"change","command":"{ID_A}","event_id":"{ID_B}","facts_commit":"{FACTS_COMMIT}",'
        f'"org":"{ID_A}","outcome":"ok","position":2,"recorded_at":1772539200000001,"seq":7,"source":"sdk",'
        f'"stream":"{ID_A}","type":"version.tagged.1","v":1}}'
    )


def test_the_leaf_hash_is_that_of_rfc_6962() -> None:
    assert leaf_of(Record(**FULL)) == sha256(b"\0" + text_of(FULL)).digest()
    assert leaf_of(Record(**FULL)).hex() == "a1e8282556b44bb87fd04715e1ef9f2adbc58dbba2f301ce4eef216e593f505c"


@given(records | records.map(without_words))
def test_the_text_is_the_canonical_form_of_rfc_8785(columns: Columns) -> None:
    text = text_of(columns)
    assert text == rfc8785.dumps(json.loads(text))


@given(records)
def test_redacting_the_words_leaves_the_leaf_as_it_was(columns: Columns) -> None:
    assert text_of(redacted(columns)) == text_of(columns)
    assert text_of(without_words(columns)) != text_of(columns)


@given(records, st.data())
def test_any_other_envelope_facts_or_words_are_another_leaf(columns: Columns, data: st.DataObject) -> None:
    other = data.draw(records)
    changed = data.draw(st.sampled_from([name for name in FULL if name != "words_commit"]))
    forged = {**columns, changed: other[changed]}
    assert (leaf_of(Record(**forged)) == leaf_of(Record(**columns))) == (forged == columns)


@given(blinds, blobs)
def test_a_commitment_is_the_hash_of_blind_and_content(blind: bytes, content: bytes) -> None:
    assert commit(blind, content) == sha256(blind + content).digest()


def test_the_leaf_tells_nothing_of_what_was_typed() -> None:
    assert b"gold" not in text_of(FULL)


def test_every_column_is_in_the_leaf_or_behind_a_commitment() -> None:
    named = {"class" if name == "audit" else name for name in FULL}
    behind = {"facts", "facts_blind", "words", "words_blind", "words_commit"}
    assert json.loads(text_of(FULL)).keys() == (named - behind) | {"v", "facts_commit", "words_commit"}


@given(events(*CLASSES))
def test_a_record_reads_as_the_event_with_its_envelope(event: Any) -> None:
    written = CODEC.encode(event)
    columns = {**FULL, "type": written.name, "facts": written.facts, "words": written.words}
    found = read(columns if written.words is not None else without_words(columns))
    assert found.event == event
    assert found.audit is Audit.CHANGE
    assert found.organisation == FULL["org"]
    stored = {"facts", "facts_blind", "words", "words_blind", "words_commit", "org", "audit"}
    same = columns.keys() - stored
    assert {name: getattr(found, name) for name in same} == {name: columns[name] for name in same}


def test_a_redacted_record_reads_erased() -> None:
    assert read(redacted(FULL)).event == Tagged("0123456789abcdef" * 2, ERASED)


@pytest.mark.parametrize(
    "damage",
    [
        {"audit": "gossip"},
        {"outcome": "maybe"},
        {"seq": "7"},
        {"stream": None},
        {"facts": "{}"},
        {"words": None},
        {"words_blind": None},
        {"words_commit": bytes(32)},
        {"recorded_at": 1.5},
    ],
    ids=str,
)
def test_a_record_whose_columns_are_not_what_they_may_be_is_refused(damage: dict[str, Any]) -> None:
    with pytest.raises(CorruptError, match="is damaged — run `muniment fsck`"):
        read({**FULL, **damage})
