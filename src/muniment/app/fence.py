"""The fence around what was erased: the same bytes do not come in again, and asking for an entry says that it went.

What was erased is recognised by terms that only the vault's master key makes, so that nobody can guess it from them.
They count from the moment at which the request is fenced, whose events are the proof that they were meant.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import Final, NoReturn

from muniment.app.noted import noted
from muniment.app.store import Store
from muniment.app.transact import Request, Steps
from muniment.domain.data_subject import Standing
from muniment.domain.errors import GoneError, SubjectErasedError
from muniment.domain.manifest import Entry
from muniment.domain.ports import Views
from muniment.domain.request import Stage, Verdict
from muniment.domain.rows import DataSubjectRow, RequestRow
from muniment.domain.values import Digest, VersionId

BLOB: Final = "erased-blob"
PATH: Final = "erased-path"
BATCH: Final = 4_096
EMPTY: Final = sha256(b"").hexdigest()
"""The content of an empty file, by which nobody is known: it is never refused."""
_BEFORE: Final = frozenset(stage.value for stage in (Stage.RECEIVED, Stage.IDENTIFIED, Stage.SCOPED, Stage.DECIDED))


def stands(views: Views) -> bool:
    """Whether any data subject is fenced or erased."""
    kinds = (Standing.FENCED, Standing.ERASED)
    return any(views.select(DataSubjectRow, standing=kind.value, order="registered_at", limit=1) for kind in kinds)


def put_up(store: Store, request_id: str, digests: Iterable[Digest], entries: Iterable[tuple[VersionId, str]]) -> None:
    """Remember what a request erases: contents that may not come back, and paths that are not there any more."""
    store.vault.remember_many(BLOB, sorted(set(digests)), request_id)
    store.vault.remember_many(PATH, [place_of(version_id, path) for version_id, path in entries], request_id)


def refuse(store: Store, entries: Iterable[Entry]) -> None:
    """Refuse contents that were erased or are being erased: SubjectErasedError, and the refusal is on record."""
    if not stands(store.views):
        return
    paths: dict[str, str] = {}
    for entry in entries:
        if entry.ref is None and entry.digest != EMPTY:
            paths.setdefault(entry.digest, entry.path)
        if len(paths) >= BATCH:
            _refuse_among(store, paths)
            paths.clear()
    _refuse_among(store, paths)


def gone(store: Store, version_id: VersionId, path: str) -> GoneError | None:
    """Return the error for an entry that was erased, ``None`` if it was not."""
    if not stands(store.views):
        return None
    place = place_of(version_id, path)
    request_id = store.vault.find(PATH, place) or _noted_path(store, version_id, place)
    row = None if request_id is None else _fenced(store.views, request_id)
    return None if row is None else GoneError(f"the entry {_erased(row)}")


def _refuse_among(store: Store, paths: dict[str, str]) -> None:
    found = {**_noted(store, paths), **store.vault.find_many(BLOB, paths)}
    hits = [(digest, row) for digest, id_ in found.items() if (row := _fenced(store.views, id_)) is not None]
    if hits:
        digest, row = hits[0]
        _deny(store, row, f"{paths[digest]!r} holds bytes that were {_erased(row)} — leave it out")


def _noted(store: Store, digests: Iterable[str]) -> dict[str, str]:
    """Return which contents were noted beside the store, by which requests: a vault put back from before lacks them."""
    terms = {term: line.request_id for line in noted(store.config.home) for term in line.contents}
    if not terms:
        return {}
    keyed = {digest: store.vault.keyed(BLOB, digest) for digest in digests}
    return {digest: terms[term] for digest, term in keyed.items() if term in terms}


def _noted_path(store: Store, version_id: VersionId, place: str) -> str | None:
    """Return by which request an entry was noted beside the store as erased."""
    lines = [line for line in noted(store.config.home) if version_id in line.entries]
    term = store.vault.keyed(PATH, place) if lines else ""
    return next((line.request_id for line in lines if term in line.entries[version_id]), None)


def _deny(store: Store, row: RequestRow, text: str) -> NoReturn:
    def decide(_: Steps) -> None:
        raise SubjectErasedError(text)

    store.transact(Request("bring back", None, row.request_id), decide)
    raise SubjectErasedError(text)


def _fenced(views: Views, request_id: str) -> RequestRow | None:
    row = views.find(RequestRow, request_id=request_id)
    return None if row is None or row.stage in _BEFORE or row.verdict == Verdict.REFUSED.value else row


def _erased(row: RequestRow) -> str:
    if row.certificate_id is None:
        return f"being erased by request {row.request_id}"
    return f"erased, certificate {row.certificate_id}"


def place_of(version_id: VersionId, path: str) -> str:
    """Return what stands for one path of one version, where a term is made of it."""
    return f"{version_id}\0{path}"
