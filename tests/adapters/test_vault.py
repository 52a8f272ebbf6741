"""Both vaults keep the contract; the one on disk also keeps its secrets."""

from __future__ import annotations

import atexit
import base64
import hashlib
import hmac
import json
import multiprocessing
import multiprocessing.queues
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias, cast

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import settings

from muniment.adapters.vault.keys import MasterKey
from muniment.adapters.vault.memory import MemoryVault
from muniment.adapters.vault.sealing import Place, unseal
from muniment.adapters.vault.sqlite import SqliteVault
from muniment.adapters.vault.unsealed import Unsealed
from muniment.domain.errors import CorruptError
from muniment.domain.ports import SlotDraft, Vault
from muniment.domain.values import SlotId
from tests.conformance.vault import OTHER, OWNER, Clock, VaultConformance, machine_for, put
from tests.vaults import ORIGIN, at, everything, sql


class TestMemory(VaultConformance):
    @pytest.fixture
    def vault(self, clock: Clock) -> Vault:
        return MemoryVault(ORIGIN, clock)


class TestSqlite(VaultConformance):
    @pytest.fixture
    def vault(self, tmp_path: Path, clock: Clock) -> Iterator[Vault]:
        vault = at(tmp_path, clock)
        yield vault
        vault.close()


FOLDERS = tempfile.mkdtemp()
atexit.register(shutil.rmtree, FOLDERS, ignore_errors=True)

TestMemoryMachine = machine_for(lambda clock: MemoryVault(ORIGIN, clock), lambda _: None).TestCase
TestSqliteMachine = machine_for(
    lambda clock: at(Path(tempfile.mkdtemp(dir=FOLDERS)), clock), lambda vault: cast("SqliteVault", vault).close()
).TestCase
TestSqliteMachine.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)


# --- what is stored --------------------------------------------------------------------------------------------------


def test_a_stranger_can_open_a_slot_with_the_documented_format(vault: SqliteVault, folder: Path) -> None:
    value = {"name": "Ada", "lr": 0.1, "steps": [1, 2]}
    (personal,) = vault.put_many([SlotDraft(OWNER, "run.config", value)])
    vault.close()

    def prefixed(*parts: str) -> bytes:
        return b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in parts)

    master = (folder / "master.key").read_bytes()
    ((wrapped,),) = sql(folder / "keys.sqlite3", "SELECT wrapped FROM data_keys WHERE owner = ?", OWNER)
    ((nonce, sealed),) = sql(folder / "vault.sqlite3", "SELECT nonce, sealed FROM slots WHERE slot = ?", personal.slot)
    assert isinstance(wrapped, bytes)
    assert isinstance(nonce, bytes)
    assert isinstance(sealed, bytes)
    key = AESGCM(master).decrypt(wrapped[:12], wrapped[12:], prefixed(ORIGIN, OWNER))
    opened = AESGCM(key).decrypt(nonce, sealed, prefixed(ORIGIN, personal.slot, OWNER, "run.config"))
    assert hashlib.sha256(opened).hexdigest() == personal.commit
    assert opened[32:] == b'{"lr":0.1,"name":"Ada","steps":[1,2]}'


def test_a_stranger_can_recompute_the_search_index_and_the_key_check(vault: SqliteVault, folder: Path) -> None:
    vault.remember("login", "ada", OWNER)
    vault.close()
    master = (folder / "master.key").read_bytes()
    index_key = HKDF(hashes.SHA256(), 32, ORIGIN.encode(), b"muniment-search-index-v1").derive(master)
    term = hmac.digest(index_key, b"\x00\x00\x00\x05loginada", "sha256")
    check = hmac.digest(master, b"muniment-key-check-v1\x00\x00\x00\x20" + ORIGIN.encode(), "sha256")
    assert sql(folder / "vault.sqlite3", "SELECT term, id FROM directory") == [(term, OWNER)]
    for name in ("vault.sqlite3", "keys.sqlite3"):
        assert sql(folder / name, "SELECT value FROM meta WHERE name = 'check'") == [(check,)]


def test_the_documented_example_is_what_we_read() -> None:
    page = (Path(__file__).parents[2] / "docs/format/vault.md").read_text(encoding="utf-8")
    example = dict(line.split(maxsplit=1) for line in page.split("## Example")[1].split("```")[1].strip().splitlines())
    master = MasterKey(example["origin"], bytes.fromhex(example["master"]))
    place = Place(example["origin"], example["slot"], example["owner"], example["field"])
    assert master.check().hex() == example["check"]
    assert master.index_key().hex() == example["index_key"]
    assert master.term("login", "ada").hex() == example["term"]
    assert place.associated().hex() == example["aad"]
    data_key = master.unwrap(example["owner"], bytes.fromhex(example["wrapped"]))
    blind, content = unseal(data_key, place, bytes.fromhex(example["nonce"]), bytes.fromhex(example["sealed"]))
    assert (blind.hex(), content.decode()) == (example["blind"], example["value"])
    value = Unsealed(SlotId(place.slot), place.owner, place.field, blind, content)
    assert (
        value.personal().commit
        == example["commit"]
        == "3cac583dd81de828abf34b14ea9d0de68ccdd5453994dea990fda1dae90500fd"
    )


def test_files_and_folder_are_for_their_owner_only(vault: SqliteVault, folder: Path) -> None:
    put(vault, "value")
    found = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
    assert set(found) >= {"vault.sqlite3", "vault.sqlite3-wal", "keys.sqlite3", "keys.sqlite3-wal", "master.key"}
    assert set(found.values()) == {0o600}
    assert folder.stat().st_mode & 0o777 == 0o700


def test_no_value_can_be_found_in_the_files(vault: SqliteVault, folder: Path) -> None:
    canary = "Canary-7f3a-grünfink"
    put(vault, {"text": canary, canary: [canary]})
    put(vault, canary)
    vault.remember("login", canary, OWNER)
    raw = canary.encode()
    forms = [
        raw,
        canary.encode("utf-16-le"),
        canary.encode("utf-16-be"),
        raw.hex().encode(),
        raw.hex().upper().encode(),
    ]
    forms += [base64.b64encode(b"x" * shift + raw)[4:-4] for shift in range(3)]
    forms.append(json.dumps(canary)[1:-1].encode())
    open_files = everything(folder)
    vault.close()
    for content in (open_files, everything(folder)):
        assert len(content) > 8192
        assert not [form for form in forms if form in content]


def test_destroyed_bytes_are_gone_from_files_and_logs(vault: SqliteVault, folder: Path) -> None:
    owners = [f"{number:032x}" for number in range(60)]
    for number, owner in enumerate(owners * 3):
        put(vault, "v" * (number * 97 % 6000), owner)
    vault_rows = sql(folder / "vault.sqlite3", "SELECT owner, nonce, sealed FROM slots")
    key_rows = sql(folder / "keys.sqlite3", "SELECT owner, wrapped FROM data_keys")
    for owner in owners[::2]:
        assert vault.destroy(owner) == 3
    content = everything(folder)
    destroyed = set(owners[::2])
    for row in (*vault_rows, *key_rows):
        for secret in row[1:]:
            assert isinstance(secret, bytes)
            assert (secret[:24] in content) == (row[0] not in destroyed)
    assert (folder / "vault.sqlite3-wal").stat().st_size == 0
    assert (folder / "keys.sqlite3-wal").stat().st_size == 0


# --- attacks ---------------------------------------------------------------------------------------------------------


def test_a_flipped_bit_is_noticed(vault: SqliteVault, folder: Path) -> None:
    slot = put(vault, "value")
    ((sealed,),) = sql(folder / "vault.sqlite3", "SELECT sealed FROM slots")
    assert isinstance(sealed, bytes)
    for position in range(len(sealed)):
        flipped = bytearray(sealed)
        flipped[position] ^= 1
        sql(folder / "vault.sqlite3", "UPDATE slots SET sealed = ?", bytes(flipped))
        with pytest.raises(CorruptError, match=slot):
            vault.get_many([slot])
    sql(folder / "vault.sqlite3", "UPDATE slots SET sealed = ?", sealed)
    assert vault.get_many([slot]) == {slot: "value"}


@pytest.mark.parametrize("change", ["sealed = x''", "sealed = 'text'", "nonce = x'00'", "field = 'run.notes'"])
def test_a_changed_slot_is_noticed(vault: SqliteVault, folder: Path, change: str) -> None:
    slot = put(vault, "value")
    sql(folder / "vault.sqlite3", f"UPDATE slots SET {change}")  # noqa: S608 - one of the four above
    with pytest.raises(CorruptError, match=slot):
        vault.get_many([slot])


def test_swapped_slots_are_noticed(vault: SqliteVault, folder: Path) -> None:
    one, two = put(vault, "one"), put(vault, "two")
    for before, after in ((one, "x"), (two, one), ("x", two)):
        sql(folder / "vault.sqlite3", "UPDATE slots SET slot = ? WHERE slot = ?", after, before)
    for slot in (one, two):
        with pytest.raises(CorruptError, match=slot):
            vault.get_many([slot])


def test_a_slot_moved_to_another_owner_is_noticed(vault: SqliteVault, folder: Path) -> None:
    slot = put(vault, "mine")
    put(vault, "theirs", OTHER)
    sql(folder / "vault.sqlite3", "UPDATE slots SET owner = ? WHERE slot = ?", OTHER, slot)
    with pytest.raises(CorruptError, match=slot):
        vault.get_many([slot])


def test_a_changed_or_moved_data_key_is_noticed(vault: SqliteVault, folder: Path) -> None:
    slot = put(vault, "mine")
    put(vault, "theirs", OTHER)
    keys = folder / "keys.sqlite3"
    sql(
        keys,
        "UPDATE data_keys SET wrapped = (SELECT wrapped FROM data_keys WHERE owner = ?) WHERE owner = ?",
        OTHER,
        OWNER,
    )
    vault.close()
    with pytest.raises(CorruptError, match=OWNER):
        vault.get_many([slot])


def test_a_key_destroyed_by_another_process_is_not_used_any_more(vault: SqliteVault, folder: Path) -> None:
    old = put(vault, "old")
    other = at(folder)
    other.destroy(OWNER)
    new = put(vault, "new")
    assert other.get_many([old, new]) == {new: "new"}
    other.close()


def test_a_slot_whose_key_is_gone_reads_as_absent(vault: SqliteVault, folder: Path) -> None:
    slot = put(vault, "value")
    sql(folder / "keys.sqlite3", "DELETE FROM data_keys")
    assert vault.get_many([slot]) == {}
    assert vault.destroy(OWNER) == 1


# --- several processes -----------------------------------------------------------------------------------------------


WORKER = """
import sys
from pathlib import Path
from muniment.adapters.vault.sqlite import SqliteVault
from muniment.domain.ports import SlotDraft
folder, number = Path(sys.argv[1]), int(sys.argv[2])
vault = SqliteVault.at(folder, folder / "master.key", sys.argv[3])
sys.stdin.read()
print(vault.remember("login", "ada", f"{number:032x}"))
for turn in range(20):
    print(vault.put_many([SlotDraft("0a" * 16, "note", turn), SlotDraft(f"{number:032x}", "note", number)])[1].slot)
"""


def test_eight_processes_at_once_make_one_vault(folder: Path) -> None:
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(folder), str(number), ORIGIN],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(8)
    ]
    for worker in workers:  # all are waiting, so all begin at once
        assert worker.stdin
        worker.stdin.close()
        worker.stdin = None
    answers = [worker.communicate()[0].split() for worker in workers]
    assert [worker.returncode for worker in workers] == [0] * 8
    assert len({answer[0] for answer in answers}) == 1
    vault = at(folder)
    for number, (_, *slots) in enumerate(answers):
        assert len(slots) == 20
        assert vault.get_many([SlotId(slot) for slot in slots]) == dict.fromkeys(slots, number)
    assert vault.destroy(OWNER) == 160
    vault.close()


def test_of_two_who_remember_at_once_one_wins(vault: SqliteVault, folder: Path) -> None:
    other = at(folder)

    def be_faster(statement: str) -> None:
        if statement.startswith("BEGIN"):  # it has looked, found nothing, and is about to write
            other.remember("login", "ada", OTHER)

    with vault._files.use() as files:  # noqa: SLF001 - to be there at the very moment
        files.vault.set_trace_callback(be_faster)
    assert vault.remember("login", "ada", OWNER) == OTHER
    assert vault.find("login", "ada") == OTHER
    other.close()


Answers: TypeAlias = "multiprocessing.queues.SimpleQueue[SlotId]"


def child(vault: SqliteVault, to_parent: Answers, to_child: Answers) -> None:
    to_parent.put(put(vault, "from the child"))
    to_child.get()
    to_parent.put(put(vault, "after the parent left"))
    os._exit(0 if vault.find("login", "ada") == OWNER else 1)  # as a crash would: nothing is closed


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_uses_connections_of_its_own(vault: SqliteVault) -> None:
    slot = put(vault, "from the parent")
    vault.remember("login", "ada", OWNER)
    fork = multiprocessing.get_context("fork")
    to_parent, to_child = fork.SimpleQueue(), fork.SimpleQueue()
    worker = fork.Process(target=child, args=(vault, to_parent, to_child))
    worker.start()
    first = to_parent.get()
    found = vault.get_many([slot, first])
    vault.close()
    to_child.put(slot)
    second = to_parent.get()
    worker.join()
    assert worker.exitcode == 0
    assert found == {slot: "from the parent", first: "from the child"}
    assert vault.get_many([slot, first, second]) == {**found, second: "after the parent left"}


def test_importing_the_vault_does_not_import_cryptography() -> None:
    program = """
import sys, muniment.adapters.vault.sqlite, muniment.adapters.signing
assert not {"cryptography", "rfc8785"} & sys.modules.keys()
"""
    subprocess.run([sys.executable, "-c", program], check=True)
