"""What is said of a version whose bytes are gone: since when, and by which certificate if a request asked for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from muniment.app import clock
from muniment.domain.errors import CorruptError, GoneError, NotFoundError
from muniment.domain.ports import Views
from muniment.domain.request import Right
from muniment.domain.rows import DisposalRow, RequestRow, SubjectTargetRow, VersionRow
from muniment.domain.version import GOING, State

SHOWN = 100


def is_gone(version: VersionRow) -> bool:
    """Whether nothing brings a version back."""
    return State(version.state) in GOING


def error_of(views: Views, version: VersionRow, name: str) -> GoneError:
    """Return the error for who asks for a version that was let go or purged."""
    how = "purged" if version.state == State.PURGED.value else "let go"
    certified = certificate_of(views, version)
    if certified is not None:
        how = "erased"
    by = f", certificate {certified}" if certified else ""
    what = "is gone" if how != "let go" else "is going"
    return GoneError(f"version {name} was {how} on {clock.to_text(version.updated_at)}{by}, and what it held {what}")


def certificate_of(views: Views, version: VersionRow) -> str | None:
    """Return the id of the certificate of the erasure that took a version, if there is one."""
    for request in _requests(views, version):
        if request.right == Right.ERASURE.value and request.certificate_id is not None:
            return request.certificate_id
    return None


def _requests(views: Views, version: VersionRow) -> Iterator[RequestRow]:
    for disposal in views.select(DisposalRow, owner_id=version.version_id, order="at", limit=SHOWN):
        row = disposal.request_id and views.find(RequestRow, request_id=disposal.request_id)
        if row:
            yield row
    for target in (version.version_id, version.artifact_id):
        for about in views.select(SubjectTargetRow, target=target, order="subject_id", limit=SHOWN):
            yield from views.select(RequestRow, subject_id=about.subject_id, order="received_at", limit=SHOWN)


@contextmanager
def told(views: Views, version: VersionRow, name: str) -> Iterator[None]:
    """Say of bytes that are missing that they went on purpose, where the version was let go meanwhile."""
    try:
        yield
    except (CorruptError, NotFoundError) as error:
        now = views.find(VersionRow, version_id=version.version_id)
        if now is not None and is_gone(now):
            raise error_of(views, now, name) from error
        raise
