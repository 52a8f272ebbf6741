"""A process killed in the middle of putting and deleting loses nothing that it acknowledged, and leaves no rest."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from muniment.domain.values import Digest
from tests.adapters.test_packs import packed

WORKER = """
import os, random, sys
from hashlib import sha256
from pathlib import Path
from muniment.adapters.blobs.local import LocalObjectStore
from muniment.adapters.blobs.packs import PackedBlobStore, PackIndex
from muniment.domain.ports import BlobSource

folder, seed = Path(sys.argv[1]), int(sys.argv[2])
store = PackedBlobStore(LocalObjectStore.at(folder), PackIndex(folder / ".index.sqlite3"), folder / "tmp", few=3)
chance = random.Random(seed)
mine = {}
print("ready", flush=True)
while True:
    contents = [b"%d %d " % (seed, chance.getrandbits(60)) * chance.randrange(1, 4000) for _ in range(40)]
    sources = [BlobSource(sha256(content).hexdigest(), len(content), content) for content in contents]
    for result in store.put_many(sources):
        assert result.error is None, result.error
        mine[result.digest] = True
    print(*[f"+{each.digest}" for each in sources], flush=True)
    doomed = chance.sample(sorted(mine), len(mine) // 4)
    print(*[f"?{digest}" for digest in doomed], flush=True)
    for result in store.delete_many(doomed):
        assert result.error is None, result.error
        del mine[result.digest]
    print(*[f"-{digest}" for digest in doomed], flush=True)
"""
POINTS = 12


def killed(folder: Path, seed: int, seconds: float) -> list[str]:
    """Let a process put and delete until it is killed; return what it said."""
    process = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(folder), str(seed)], stdout=subprocess.PIPE, env=os.environ
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=seconds)
    os.kill(process.pid, signal.SIGKILL)
    said = process.stdout.read().decode().split()
    process.stdout.close()
    process.wait()
    return [each for each in said if len(each) == 65]


def test_nothing_acknowledged_is_lost_and_nothing_deleted_is_left(tmp_path: Path) -> None:
    chance = random.Random(20261123)
    there: set[Digest] = set()
    gone: set[Digest] = set()
    store = packed(tmp_path, few=3)
    for seed in range(POINTS):
        open_to_doubt: set[Digest] = set()
        for each in killed(tmp_path / "blobs", seed, chance.random() * 0.4):
            digest = Digest(each[1:])
            if each[0] == "+":
                there.add(digest)
            elif each[0] == "?":
                there.discard(digest)
                open_to_doubt.add(digest)
            else:
                open_to_doubt.discard(digest)
                gone.add(digest)
        if seed % 3 == 2:
            store.index.close()
            store.index.file.unlink()
        assert store.missing(there) == set()
        assert all(store.get(digest) for digest in there)
        assert list(store.verify()) == []
        rest = [digest for digest, _ in store.list() if digest not in there]
        assert gone.isdisjoint(rest)
        assert [result.error for result in store.delete_many(rest)] == [None] * len(rest)
        store.sweep(2**62)
        assert {digest for digest, _ in store.list()} == there
        assert list((tmp_path / "blobs" / "tmp").iterdir()) == []
        assert not open_to_doubt & there
