"""A store that was restored from before an erasure is opened only to erase the same again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from muniment.app import approvals
from muniment.app.collecting.disposal import dispose
from muniment.app.erasing import certificate as certificates
from muniment.app.erasing import checking, data_subjects, requests
from muniment.app.erasing.executing import Eraser
from muniment.app.erasing.planning import listed
from muniment.app.noted import Erasure, noted
from muniment.app.reach import team_of
from muniment.app.store import Store
from muniment.app.transact import Request, Steps
from muniment.domain import data_subject as subjects
from muniment.domain import request as wanted
from muniment.domain import version as versions
from muniment.domain.data_subject import Standing, TargetKind
from muniment.domain.evidence import Trigger
from muniment.domain.ports import SlotDraft, Views
from muniment.domain.request import REQUEST, Right, Stage, Verdict
from muniment.domain.rows import ArtifactRow, DataSubjectRow, PrincipalRow, RequestRow, RunRow, VersionRow
from muniment.domain.values import Digest, SlotId, VersionId
from muniment.domain.version import ManifestReplaced


def undone(store: Store) -> list[Erasure]:
    """Return the erasures that this store knows nothing of, or whose personal values are back: it was restored."""
    lines = noted(store.config.home)
    rows = {line.request_id: _row(store.views, line) for line in lines}
    slots = {row.identity for row in rows.values() if row is not None}
    back = store.vault.get_many(slots) if slots else {}
    return [line for line in lines if _is_undone(rows[line.request_id], back)]


def told(lines: Iterable[Erasure]) -> str:
    """Return why a store with such lines is not opened."""
    ids = ", ".join(line.request_id for line in lines)
    return (
        f"this store was restored from before an erasure (request {ids}), so what was erased is back — "
        "run `muniment compliance erase-again`, which erases it again, before anything else"
    )


def again(store: Store) -> Iterator[RequestRow]:
    """Erase again whatever came back, and yield the requests by which it was done, each with a new certificate.

    It was approved by two people when it was erased first, so only an admin is needed. Dead blobs go too.
    """
    lines = undone(store)
    _list_again(store, lines)
    for line in lines:
        request_id = _prepared(store, line)
        Eraser(store, request_id).execute()
        dispose(store, None, Trigger.ERASURE, request_id=request_id)
        checking.verify(store, request_id)
        yield certificates.issue(store, request_id)


def _is_undone(row: DataSubjectRow | None, back: Mapping[SlotId, object]) -> bool:
    """Whether the ledger lags behind, or only the vault does."""
    if row is None or row.standing == Standing.REGISTERED.value:
        return True
    return row.standing == Standing.ERASED.value and row.identity in back


def _row(views: Views, line: Erasure) -> DataSubjectRow | None:
    return views.find(DataSubjectRow, subject_id=line.subject_id)


def _prepared(store: Store, line: Erasure) -> str:
    """Return a request by which this can be erased again: the same one if the ledger has it, or a new one."""
    known = store.views.find(RequestRow, request_id=line.request_id)
    if known is not None and known.stage in {Stage.VERIFIED.value, Stage.CERTIFIED.value, Stage.CLOSED.value}:
        _reopen(store, line.request_id)
        return line.request_id
    if known is not None and known.stage in {Stage.FENCED.value, Stage.EXECUTED.value}:
        return line.request_id
    _attach(store, line)
    row = requests.receive(store, Right.ERASURE, line.subject_id)
    requests.identify(store, row.request_id, f"erased before, by request {line.request_id}")
    requests.scope(store, row.request_id)
    _decide(store, row.request_id, line.request_id)
    return row.request_id


def _list_again(store: Store, lines: Iterable[Erasure]) -> None:
    """Let versions list what they listed after they were erased from, where what they listed before is gone."""
    for line in reversed([*lines]):
        for version_id, (digest, manifest, size, entries, erased) in line.lists.items():
            row = store.views.find(VersionRow, version_id=version_id)
            if row is None or row.manifest is None or row.manifest == manifest:
                continue
            team_id = team_of(store.views, row)
            blobs = (store if team_id is None else store.of_team(team_id)).blobs
            if blobs.missing([Digest(row.manifest), Digest(manifest)]) == {Digest(row.manifest)}:
                replaced = ManifestReplaced(line.request_id, Digest(digest), Digest(manifest), size, entries, erased)
                _replace(store, row.version_id, replaced)


def _replace(store: Store, version_id: VersionId, replaced: ManifestReplaced) -> None:
    def decide(steps: Steps) -> None:
        approvals.require_admin(steps.views, store.context, "erase again what came back")
        steps.step(versions.VERSION, version_id, versions.replace_manifest, replaced)

    store.transact(Request("replace manifest", None, version_id), decide)


def _reopen(store: Store, request_id: str) -> None:
    def decide(steps: Steps) -> None:
        approvals.require_admin(steps.views, store.context, "erase again what came back")
        steps.step(REQUEST, request_id, wanted.reopen_request, 1)

    store.transact(Request("reopen request", None, request_id), decide)


def _decide(store: Store, request_id: str, before: str) -> None:
    def decide(steps: Steps) -> None:
        approvals.require_admin(steps.views, store.context, "erase again what came back")
        steps.step(REQUEST, request_id, wanted.decide_request, Verdict.APPROVED)

    store.transact(Request("erase again", before, request_id), decide)


def _attach(store: Store, line: Erasure) -> None:
    """Attach the data subject to what was erased, as far as the ledger has it again."""
    if _row(store.views, line) is None:
        (kept,) = store.vault.put_many([SlotDraft(line.subject_id, "identity", "restored")])

        def decide(steps: Steps) -> None:
            steps.step(subjects.DATA_SUBJECT, line.subject_id, subjects.register_subject, kept)

        store.transact(Request("register subject", None, line.subject_id), decide)
    for kind, id_ in line.targets:
        if _is_here(store.views, TargetKind(kind), id_):
            data_subjects.attach(store, line.subject_id, TargetKind(kind), id_, again=True)
    for version_id, terms in line.entries.items():
        found = listed(store, VersionId(version_id), terms)
        if found:
            data_subjects.attach_entries(store, line.subject_id, VersionId(version_id), found)


def _is_here(views: Views, kind: TargetKind, id_: str) -> bool:
    if kind is TargetKind.VERSION:
        return views.find(VersionRow, version_id=id_) is not None
    if kind is TargetKind.ARTIFACT:
        return views.find(ArtifactRow, artifact_id=id_) is not None
    if kind is TargetKind.USER:
        return views.find(PrincipalRow, principal_id=id_) is not None
    return views.find(RunRow, run_id=id_) is not None
