"""Checkpoints are written and read as C2SP tlog-checkpoint and signed-note say."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muniment.domain.checkpoint import Checkpoint, Signature, SignedNote, log_name
from muniment.domain.errors import InvalidValueError

ROOT = bytes(range(32))
ROOT_TEXT = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
LOG = log_name("5eed" * 8)
TEXT = f"{LOG}\n7\n{ROOT_TEXT}\n"
LINE = "\u2014 name AQIDBHNpZ25hdHVyZQ==\n"
PUBLISHED = (  # the example of the tlog-checkpoint specification
    "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
    "\u2014 example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+"
    "zyWE+xeMcTOAYQ8=\n"
)

NAMES = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters="+"), min_size=1, max_size=20)
SIGNATURES = st.builds(Signature, NAMES, st.binary(min_size=4, max_size=4), st.binary(min_size=1, max_size=70))


def test_the_text_is_origin_size_and_root() -> None:
    assert Checkpoint(LOG, 7, ROOT).text() == "muniment/5eed5eed5eed5eed5eed5eed5eed5eed\n7\n" + ROOT_TEXT + "\n"


def test_the_published_example_is_read_and_written_back() -> None:
    note = SignedNote.parse(PUBLISHED)
    (signature,) = note.signatures
    checkpoint = Checkpoint.parse(note.text)
    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20852163)
    assert checkpoint.root.hex() == "0ac5186a91863e8e1d90c808014aa89bf5da8e3ee1d9f07630f0378f68f1ab62"
    assert (signature.name, signature.key_id.hex(), len(signature.signature)) == (checkpoint.origin, "033de0ae", 64)
    assert SignedNote(checkpoint.text(), note.signatures).render() == PUBLISHED


@given(NAMES, st.integers(0, 10**19 - 1), st.binary(min_size=32, max_size=32))
def test_every_checkpoint_is_read_back(origin: str, size: int, root: bytes) -> None:
    checkpoint = Checkpoint(origin, size, root)
    assert Checkpoint.parse(checkpoint.text()) == checkpoint


@given(
    st.lists(st.sampled_from(["a", "", "\u2014 x y", "é\u2028"]), min_size=1),
    st.lists(SIGNATURES, min_size=1, max_size=4),
)
def test_every_note_is_read_back(lines: list[str], signatures: list[Signature]) -> None:
    note = SignedNote("".join(f"{line}\n" for line in lines), tuple(signatures))
    assert SignedNote.parse(note.render()) == note


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        TEXT[:-1],
        TEXT + "\n",
        TEXT + "extension\n",
        f"\n7\n{ROOT_TEXT}\n",
        f"{LOG}\n07\n{ROOT_TEXT}\n",
        f"{LOG}\n-7\n{ROOT_TEXT}\n",
        f"{LOG}\n+7\n{ROOT_TEXT}\n",
        f"{LOG}\n7 \n{ROOT_TEXT}\n",
        f"{LOG}\n\u0667\n{ROOT_TEXT}\n",
        f"{LOG}\n\n{ROOT_TEXT}\n",
        f"{LOG}\n{10**19}\n{ROOT_TEXT}\n",
        f"{LOG}\n7\n{ROOT_TEXT[:-1]}\n",
        f"{LOG}\n7\n{ROOT_TEXT[:-4]}\n",
        f"{LOG}\n7\n{ROOT_TEXT[:-2]}9=\n",
        f"{LOG}\n7\n {ROOT_TEXT}\n",
        f"{LOG}\n7\n{ROOT_TEXT[:-1]}\u00e9\n",
        f"{LOG}\n7\n{base64.b64encode(bytes(33)).decode()}\n",
        f"{LOG}\r\n7\n{ROOT_TEXT}\n",
        f"{LOG}\ud800\n7\n{ROOT_TEXT}\n",
    ],
)
def test_a_malformed_text_is_refused(text: str) -> None:
    with pytest.raises(InvalidValueError, match="not a signed checkpoint"):
        Checkpoint.parse(text)


@pytest.mark.parametrize(
    "note",
    [
        "",
        TEXT,
        TEXT + "\n",
        TEXT + LINE,
        "\n" + LINE,
        f"{TEXT}\n{LINE[:-1]}",
        f"{TEXT}\n{LINE}more\n",
        f"{TEXT}\n{LINE} \n",
        f"{TEXT}\n- name AQIDBHNpZ25hdHVyZQ==\n",
        f"{TEXT}\n\u2014  AQIDBHNpZ25hdHVyZQ==\n",
        f"{TEXT}\n\u2014 na+me AQIDBHNpZ25hdHVyZQ==\n",
        f"{TEXT}\n\u2014 name AQIDBA==\n",
        f"{TEXT}\n\u2014 name AQID\n",
        f"{TEXT}\n\u2014 name AQIDBHNpZ25hdHVyZR==\n",
        f"{TEXT}\n\u2014 name !\n",
        f"{TEXT}\x00\n\n{LINE}",
        f"{TEXT}\n" + LINE * 101,
        f"{TEXT}{'x' * 1024 * 1024}\n\n{LINE}",
    ],
)
def test_a_malformed_note_is_refused(note: str) -> None:
    with pytest.raises(InvalidValueError, match="not a signed checkpoint"):
        SignedNote.parse(note)


def test_what_could_not_be_read_back_cannot_be_made() -> None:
    for origin, size, root in [("", 0, ROOT), ("a\nb", 0, ROOT), (LOG, -1, ROOT), (LOG, 10**19, ROOT), (LOG, 0, b"")]:
        with pytest.raises(InvalidValueError):
            Checkpoint(origin, size, root)
    with pytest.raises(InvalidValueError):
        Signature("a b", b"1234", b"s")
    with pytest.raises(InvalidValueError):
        SignedNote("text\n", ())
