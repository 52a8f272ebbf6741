"""The record of erasures beside the store: what must not come back with a backup that is older than the erasure.

It is a file of its own that no backup of the ledger or the vault overwrites: a line for each erasure, with ids, and
terms that only the vault's master key makes.
"""

from __future__ import annotations

import json
import os

from attrs import asdict

from muniment.app.disk import write_all, writing
from muniment.app.erasing.planning import Plan
from muniment.app.fence import BLOB
from muniment.app.noted import NOTES, Erasure, noted, whole_lines
from muniment.app.store import Store
from muniment.domain.data_subject import TargetKind
from muniment.domain.values import Json, StreamId, VersionId
from muniment.domain.version import ManifestReplaced


def note(store: Store, plan: Plan) -> None:
    """Write down that a request erases this, before it does; once is enough."""
    if any(line.request_id == plan.request_id for line in noted(store.config.home)):
        return
    whole = (
        (TargetKind.VERSION, plan.whole),
        (TargetKind.ARTIFACT, plan.artifacts),
        (TargetKind.RUN, plan.runs),
        (TargetKind.USER, plan.users),
    )
    contents = [store.vault.keyed(BLOB, digest) for digest in plan.going]
    targets = [[kind.value, id_] for kind, ids in whole for id_ in ids]
    terms = {str(version_id): each for version_id, each in plan.entries.items()}
    _write(store, Erasure(plan.subject_id, plan.request_id, targets, terms, contents))


def note_lists(store: Store, plan: Plan) -> None:
    """Write down what versions list now: a ledger that is older than the blobs names manifests that are gone."""
    known = {id_ for line in noted(store.config.home) if line.request_id == plan.request_id for id_ in line.lists}
    found = {str(id_): _list(store, plan, id_) for id_ in plan.entries if id_ not in known}
    lists = {id_: each for id_, each in found.items() if each}
    if lists:
        _write(store, Erasure(plan.subject_id, plan.request_id, lists=lists))


def _list(store: Store, plan: Plan, version_id: VersionId) -> list[Json]:
    found: list[Json] = []
    for recorded in store.ledger.read(stream=StreamId(version_id)):
        event = recorded.event
        if isinstance(event, ManifestReplaced) and event.request_id == plan.request_id:
            found = [event.digest, event.manifest, event.size, event.entries, event.erased]
    return found


def _write(store: Store, erasure: Erasure) -> None:
    line = json.dumps(asdict(erasure))
    with writing():
        file = os.open(store.config.home / NOTES, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            os.ftruncate(file, whole_lines(store.config.home))
            write_all(file, f"{line}\n".encode())
            os.fsync(file)
        finally:
            os.close(file)
