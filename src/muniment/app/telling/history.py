"""History: who did what to a thing, with the values before and after; and which event a moment means."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from datetime import datetime

from attrs import frozen

from muniment.app import clock, directory
from muniment.app.labels import Label, Labels
from muniment.app.listing import Page, Paging
from muniment.app.store import Store
from muniment.app.telling.changes import Change, changes_of
from muniment.domain.errors import InvalidValueError
from muniment.domain.ports import Recorded
from muniment.domain.rows import ArtifactRow, TimelineRow, VersionRow
from muniment.domain.values import ERASED_TEXT, Json, Micros, PrincipalId, owner_of


@frozen
class Act:
    """Something that happened: what, to what, by whom, and which values it changed."""

    seq: int
    at: Micros
    act: str
    subject: str
    actor: str
    changes: tuple[Change, ...]
    recorded: Recorded
    on_behalf_of: str | None = None
    run: str | None = None

    def to_json(self) -> Json:
        """Return the act as JSON values."""
        return {
            "seq": self.seq,
            "at": clock.to_text(self.at),
            "act": self.act,
            "subject": self.subject,
            "actor": self.actor,
            "on_behalf_of": self.on_behalf_of,
            "run": self.run,
            "changes": [{"field": each.field, "before": each.before, "after": each.after} for each in self.changes],
            "type": self.recorded.type,
            "class": self.recorded.audit.value,
            "outcome": self.recorded.outcome,
            "source": self.recorded.source,
            "event_id": self.recorded.event_id,
            "command": self.recorded.command,
        }

    def __str__(self) -> str:
        said = [f"{clock.to_text(self.at)}  {self.actor}  {self.act}  {self.subject}"]
        said += [f"    {each}" for each in self.changes]
        return "\n".join(said)


def as_of(store: Store, moment: str | int | datetime) -> int:
    """Return the ``seq`` that a moment means: an event's number, ``now``, or a time (without an offset it is UTC)."""
    if moment == "now":
        return store.ledger.head().size
    if isinstance(moment, str) and not moment.strip().lstrip("-").isdecimal():
        return store.ledger.at(clock.from_text(moment.strip()))
    if isinstance(moment, datetime):
        return store.ledger.at(clock.from_datetime(moment))
    if isinstance(moment, bool) or not isinstance(moment, int | str):
        msg = f"a moment is a time or the number of an event, not {moment!r} — write for example 2026-03-03T12:00Z"
        raise InvalidValueError(msg)
    seq, size = int(moment), store.ledger.head().size
    if not 0 <= seq <= size:
        msg = f"there is no event {seq} — the ledger holds 1 to {size}; a time is written as 2026-03-03T12:00Z"
        raise InvalidValueError(msg)
    return seq


def of(store: Store, subject: str, paging: Paging | None = None) -> Page[Act]:
    """Return what happened to the thing of this id, oldest first unless *paging* says otherwise.

    What happened to the versions of an artifact is part of its history.
    """
    wanted = paging or Paging()
    if wanted.size < 1:
        msg = f"a page holds at least one act, not {wanted.size}"
        raise InvalidValueError(msg)
    seqs = _seqs(store, subject, wanted)
    chosen = seqs[: wanted.size]
    acts = tuple(tell(store, (store.event(seq) for seq in chosen)))
    return Page(acts, str(chosen[-1]) if len(seqs) > wanted.size else None)


def tell(store: Store, events: Iterable[Recorded]) -> Iterator[Act]:
    """Yield events as acts: with names instead of ids, and the values before and after."""
    listed = list(events)
    changes = changes_of(store, listed)
    people = {each.actor for each in listed} | {each.on_behalf_of for each in listed if each.on_behalf_of}
    logins = directory.logins(store, people)
    for recorded, changed in zip(listed, changes, strict=True):
        labels = Labels(store.views, recorded.seq)
        run = labels.run(recorded.run) if recorded.run else None
        yield Act(
            seq=recorded.seq,
            at=recorded.recorded_at,
            act=act_of(recorded),
            subject=_subject(labels, recorded, logins),
            actor=logins.get(recorded.actor, ERASED_TEXT),
            changes=changed,
            recorded=recorded,
            on_behalf_of=logins.get(recorded.on_behalf_of, ERASED_TEXT) if recorded.on_behalf_of else None,
            run=run.path if run else None,
        )


def act_of(recorded: Recorded) -> str:
    """Say in words what an event is: ``alias moved`` for ``alias.moved.1``."""
    return recorded.type.rpartition(".")[0].replace(".", " ").replace("-", " ")


def _subject(labels: Labels, recorded: Recorded, logins: dict[PrincipalId, str]) -> str:
    """Say what an event happened to; for a denied act, what was tried on."""
    event = recorded.event
    owner = getattr(event, "target", None) or getattr(event, "version_id", None) or owner_of(recorded.stream)
    label: Label | None = labels.of(owner)
    if label is not None:
        return f"{label.kind} {label.path}"
    return f"user {logins.get(PrincipalId(owner), ERASED_TEXT)}"


def _seqs(store: Store, subject: str, wanted: Paging) -> list[int]:
    """Return one more event number than wanted, merged from the timelines of the thing and of its versions."""
    subjects = [subject, *_versions(store, subject)]
    timelines = [_timeline(store, each, wanted) for each in subjects]
    merged: dict[int, None] = {}
    for seq in heapq.merge(*timelines, reverse=wanted.descending):
        merged[seq] = None
        if len(merged) > wanted.size:
            break
    return list(merged)


def _versions(store: Store, subject: str) -> Iterator[str]:
    artifact, _ = Labels(store.views).row(ArtifactRow, artifact_id=subject)
    if artifact is not None:
        rows = store.views.select(VersionRow, artifact_id=artifact.artifact_id, order="index")
        yield from (row.version_id for row in rows)


def _timeline(store: Store, subject: str, wanted: Paging) -> Iterator[int]:
    """Return the numbers of the events about one subject that a page could show."""
    start = _start(wanted.start)
    if wanted.at is not None:
        start = wanted.at + 1 if wanted.descending and (start is None or start > wanted.at) else start
    rows = store.views.select(
        TimelineRow,
        subject_id=subject,
        order="event_seq",
        after=start,
        limit=wanted.size + 1,
        descending=wanted.descending,
    )
    return (row.event_seq for row in rows if wanted.at is None or row.event_seq <= wanted.at)


def _start(cursor: str | None) -> int | None:
    if cursor is not None and not cursor.isdecimal():
        msg = f"{cursor!r} is no cursor of a history — take it from the page before"
        raise InvalidValueError(msg)
    return None if cursor is None else int(cursor)
