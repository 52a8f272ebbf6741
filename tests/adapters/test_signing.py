"""Signatures are those of C2SP signed-note, as other programs make and check them."""

from __future__ import annotations

import base64
import multiprocessing
import os
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from muniment.adapters.key_file import overwrite
from muniment.adapters.signing import SigningKey, VerifierKey, verify, verify_text
from muniment.domain.checkpoint import Checkpoint, Signature, SignedNote, log_name
from muniment.domain.errors import CorruptError, InvalidValueError, KeyFileError

PAGE = Path(__file__).parents[2] / "docs/format/checkpoint.md"
LOG = log_name("5eed" * 8)
CHECKPOINT = Checkpoint(LOG, 7, bytes(range(32)))

# The first key of RFC 8032, section 7.1, and what it signs: the figures of docs/format/checkpoint.md.
SECRET = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
PUBLIC = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
GOLDEN_KEY = "muniment/5eed5eed5eed5eed5eed5eed5eed5eed+1059daf8+AddamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea"
GOLDEN_NOTE = (
    "muniment/5eed5eed5eed5eed5eed5eed5eed5eed\n7\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n\n"
    "\u2014 muniment/5eed5eed5eed5eed5eed5eed5eed5eed "
    "EFna+Lmjya1/XLrkt9PaLDvTwOCZTvEyG6iDiahtTWs7RTZTpN+2k0f1MRx+w/nE2byb1MFDku/8DfNs68C4ke059Ac=\n"
)

# The key and the note in the tests of Go's golang.org/x/mod/sumdb/note.
GO_NAME, GO_SEED = "PeterNeumann", base64.b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:]
GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
GO_NOTE = (
    f"{GO_TEXT}\n\u2014 PeterNeumann "
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)


def with_secret(name: str, seed: bytes) -> SigningKey:
    return SigningKey(name, Ed25519PrivateKey.from_private_bytes(seed))


GOLDEN = with_secret(LOG, SECRET)
OTHER = with_secret(LOG, bytes(32))


def openssl(*arguments: str | Path, given: bytes = b"") -> bytes:
    return subprocess.run(["openssl", *arguments], input=given, capture_output=True, check=True).stdout


# --- published figures -----------------------------------------------------------------------------------------------


def test_the_golden_checkpoint_stays_as_it_is() -> None:
    assert GOLDEN.verifier_key() == GOLDEN_KEY
    assert GOLDEN.sign(CHECKPOINT) == GOLDEN_NOTE
    assert verify(GOLDEN_NOTE, GOLDEN_KEY) == CHECKPOINT
    assert VerifierKey.parse(GOLDEN_KEY).public == PUBLIC


def test_the_golden_checkpoint_is_the_documented_one() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert GOLDEN_NOTE in page
    assert GOLDEN_KEY in page
    assert SECRET.hex() in page


def test_notes_are_byte_for_byte_those_of_go() -> None:
    key = with_secret(GO_NAME, GO_SEED)
    assert key.verifier_key() == GO_KEY
    assert key.sign_text(GO_TEXT) == GO_NOTE
    assert verify_text(GO_NOTE, GO_KEY) == GO_TEXT


def test_openssl_agrees_with_a_signature_of_ours(tmp_path: Path) -> None:
    path = tmp_path / "signing.pem"
    key = SigningKey.create(path, LOG)
    note = SignedNote.parse(key.sign(CHECKPOINT))
    (tmp_path / "text").write_bytes(note.text.encode())
    (tmp_path / "signature").write_bytes(note.signatures[0].signature)
    public = openssl("pkey", "-in", path, "-pubout", "-outform", "DER")
    (tmp_path / "public.der").write_bytes(public)
    arguments = f"-verify -rawin -pubin -keyform DER -inkey {tmp_path}/public.der -sigfile {tmp_path}/signature"
    check = ["pkeyutl", *arguments.split(), "-in", str(tmp_path / "text")]
    assert b"Verified Successfully" in openssl(*check)
    assert VerifierKey.parse(key.verifier_key()).public == public[-32:]
    (tmp_path / "text").write_bytes(note.text.replace("7", "8", 1).encode())
    with pytest.raises(subprocess.CalledProcessError):
        openssl(*check)


def test_we_agree_with_a_signature_of_openssl(tmp_path: Path) -> None:
    pem, text = tmp_path / "openssl.pem", tmp_path / "text"
    openssl("genpkey", "-algorithm", "ed25519", "-out", pem)
    text.write_text(CHECKPOINT.text())
    signature = openssl("pkeyutl", "-sign", "-rawin", "-inkey", pem, "-in", text)
    key = VerifierKey(LOG, openssl("pkey", "-in", pem, "-pubout", "-outform", "DER")[-32:])
    note = SignedNote(CHECKPOINT.text(), (Signature(LOG, key.id(), signature),)).render()
    assert verify(note, str(key)) == CHECKPOINT
    assert SigningKey.load(pem, LOG).sign(CHECKPOINT) == note


def test_the_documented_commands_check_a_note(tmp_path: Path) -> None:
    commands = PAGE.read_text(encoding="utf-8").split("```sh\n")[1].split("```")[0]
    (tmp_path / "note.txt").write_text(GOLDEN_NOTE, encoding="utf-8")
    (tmp_path / "key.txt").write_text(f"{GOLDEN_KEY}\n", encoding="utf-8")
    assert "Verified Successfully" in subprocess.check_output(["sh", "-ec", commands], cwd=tmp_path, text=True)
    (tmp_path / "note.txt").write_text(GOLDEN_NOTE.replace("\n7\n", "\n8\n"), encoding="utf-8")
    assert subprocess.run(["sh", "-ec", commands], cwd=tmp_path, capture_output=True, check=False).returncode


# --- refusals --------------------------------------------------------------------------------------------------------


@given(st.data())
def test_no_other_note_passes(data: st.DataObject) -> None:
    content = bytearray(GOLDEN_NOTE.encode())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        changed = content.decode()
    except UnicodeDecodeError:
        return
    with pytest.raises((CorruptError, InvalidValueError)):
        verify(changed, GOLDEN_KEY)


def test_a_changed_text_is_corrupt() -> None:
    with pytest.raises(CorruptError, match="do not trust"):
        verify(GOLDEN_NOTE.replace("\n7\n", "\n8\n"), GOLDEN_KEY)


def test_the_signature_of_another_key_is_none() -> None:
    with pytest.raises(InvalidValueError, match="is not signed by"):
        verify(OTHER.sign(CHECKPOINT), GOLDEN_KEY)


def test_signatures_of_unknown_keys_are_ignored_and_one_bad_one_of_ours_spoils_the_note() -> None:
    ours, theirs = SignedNote.parse(GOLDEN_NOTE), SignedNote.parse(OTHER.sign(CHECKPOINT))
    both = SignedNote(ours.text, theirs.signatures + ours.signatures)
    assert verify(both.render(), GOLDEN_KEY) == CHECKPOINT
    assert verify(both.render(), OTHER.verifier_key()) == CHECKPOINT
    bad = Signature(LOG, ours.signatures[0].key_id, bytes(64))
    with pytest.raises(CorruptError):
        verify(SignedNote(ours.text, (*ours.signatures, bad)).render(), GOLDEN_KEY)


def test_a_checkpoint_about_another_log_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="is about muniment/other"):
        verify(GOLDEN.sign(Checkpoint("muniment/other", 7, bytes(32))), GOLDEN_KEY)


@pytest.mark.parametrize(
    "key",
    [
        "",
        GOLDEN_KEY[1:],
        GOLDEN_KEY[:-1],
        GOLDEN_KEY[:-4],
        GOLDEN_KEY.replace("+", " ", 1),
        GOLDEN_KEY.replace("muniment", "Muniment"),
        GOLDEN_KEY.replace("+1059daf8", "+1059DAF8"),
        GOLDEN_KEY.replace("+1059daf8", "+1059daf9"),
        GOLDEN_KEY.replace("+Add", "+Bdd"),
        f"\ud800{GOLDEN_KEY}",
        str(VerifierKey("two words", PUBLIC)),
        str(VerifierKey("", PUBLIC)),
        str(VerifierKey(LOG, PUBLIC[1:])),
    ],
)
def test_a_malformed_verifier_key_is_refused(key: str) -> None:
    with pytest.raises(InvalidValueError):
        verify(GOLDEN_NOTE, key)


# --- key files -------------------------------------------------------------------------------------------------------


def test_a_key_is_made_once_and_loaded_after(tmp_path: Path) -> None:
    path = tmp_path / "signing.pem"
    made = SigningKey.at(path, LOG)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_bytes().startswith(b"-----BEGIN PRIVATE KEY-----\n")
    assert [child.name for child in tmp_path.iterdir()] == ["signing.pem"]
    assert SigningKey.at(path, LOG).sign(CHECKPOINT) == made.sign(CHECKPOINT)
    with pytest.raises(KeyFileError, match="never overwritten"):
        SigningKey.create(path, LOG)
    assert SigningKey.load(path, LOG).verifier_key() == made.verifier_key()
    assert "PRIVATE" not in repr(made)


def test_of_many_who_make_a_key_at_once_all_get_the_same(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        keys = pool.starmap(make_key, [(tmp_path / f"{turn // 4}.pem", LOG) for turn in range(40)], chunksize=1)
        pool.close()
        pool.join()
    assert len(set(keys)) == 10
    assert len(list(tmp_path.iterdir())) == 10


def make_key(path: Path, name: str) -> str:
    return SigningKey.at(path, name).verifier_key()


def test_a_missing_key_is_not_loaded(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="is missing"):
        SigningKey.load(tmp_path / "signing.pem", LOG)
    with pytest.raises(KeyFileError, match="cannot be made"):
        SigningKey.at(tmp_path / "not" / "mounted.pem", LOG)


def test_a_key_open_to_others_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "signing.pem"
    SigningKey.create(path, LOG)
    path.chmod(0o644)
    with pytest.raises(KeyFileError, match="chmod 600"):
        SigningKey.at(path, LOG)


def test_what_is_no_ed25519_key_is_refused(tmp_path: Path) -> None:
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    locked = serialization.BestAvailableEncryption(b"password")
    contents = [
        b"",
        b"no key",
        os.urandom(32),
        generate_private_key(SECP256R1()).private_bytes(pem, pkcs8, serialization.NoEncryption()),
        Ed25519PrivateKey.generate().private_bytes(pem, pkcs8, locked),
    ]
    for number, content in enumerate(contents):
        path = tmp_path / f"{number}.pem"
        path.write_bytes(content)
        path.chmod(0o600)
        with pytest.raises(KeyFileError, match="no Ed25519 key"):
            SigningKey.load(path, LOG)


def test_a_chain_that_announces_nothing_puts_no_key_in_place(tmp_path: Path) -> None:
    key = SigningKey.create(tmp_path / "signing.key", LOG)
    SigningKey.create(tmp_path / "signing.next", LOG)
    (tmp_path / "signing.chain").write_text("\n", encoding="utf-8")
    assert SigningKey.at(tmp_path / "signing.key", LOG).verifier_key() == key.verifier_key()
    (tmp_path / "signing.chain").write_bytes(b"\xff")
    for read in (key.chain, lambda: SigningKey.at(tmp_path / "signing.key", LOG)):
        with pytest.raises(CorruptError, match=r"signing\.chain is damaged"):
            read()


def test_what_cannot_be_replaced_is_said_and_leaves_no_half(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(KeyFileError, match="taken cannot be made or written"):
        overwrite(tmp_path / "taken", b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]
