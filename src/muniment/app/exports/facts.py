"""What exports are made from: versions, runs and their edges as of one moment, and what became of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

from attrs import define, field, frozen

from muniment.app import clock
from muniment.app.labels import Label, Labels
from muniment.app.store import Store
from muniment.domain import artifact, project, version
from muniment.domain.errors import NotFoundError
from muniment.domain.rows import EdgeRow, ErasedEntryRow, RunRow, TimelineRow, VersionRow
from muniment.domain.values import ERASED_TEXT, Json, Micros, SlotId, StreamId, VersionId

PAGE: Final = 500
PRODUCER: Final = "urn:muniment:exports"


@frozen
class Ended:
    """When a version came to its end, and how: ``deleted`` or ``purged``, by itself or with what it was in."""

    at: Micros
    how: str
    purged_at: Micros | None = None


@frozen
class VersionFact:
    """A version as of the moment; ``path`` is its whole name, ``erased`` the ids of entries erased on request."""

    row: VersionRow
    path: str
    type: str | None
    ended: Ended | None
    erased: tuple[str, ...]

    @property
    def id(self) -> str:
        """Its id."""
        return self.row.version_id

    @property
    def number(self) -> str:
        """What it is called within its artifact: ``v3``."""
        return f"v{self.row.index}"


@frozen
class RunFact:
    """A run as of the moment; ``gone`` tells that it was deleted."""

    row: RunRow
    path: str
    gone: bool

    @property
    def id(self) -> str:
        """Its id."""
        return self.row.run_id


@define
class Facts:
    """A store as of one event, asked for what an export needs; names that were erased read ``[erased]``."""

    store: Store
    at: int
    labels: Labels = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Let go of names that were looked up, so that a long export needs no more memory than a short one."""
        self.labels = Labels(self.store.views, self.at)

    @property
    def origin(self) -> str:
        """The id of the ledger, which every id belongs to."""
        return self.store.ledger.origin

    def version(self, id_: str) -> VersionFact:
        """Return a version, deleted and purged ones too."""
        row, _ = self.labels.row(VersionRow, version_id=id_)
        if row is None:
            msg = f"there is no version {id_}"
            raise NotFoundError(msg)
        owner = self.labels.artifact_row(row.artifact_id)
        path = distinct(self.labels.of_version(row), row.artifact_id)
        ended = self._ended(row)
        return VersionFact(
            row, path, owner.type if owner else None, ended, tuple(each.entry_id for each in self.erased(id_))
        )

    def erased(self, version_id: str) -> list[ErasedEntryRow]:
        """Return which entries of a version were erased on request."""
        return self.store.views.select(ErasedEntryRow, at=self.at, version_id=VersionId(version_id), order="entry_id")

    def run(self, id_: str) -> RunFact:
        """Return a run, deleted ones too."""
        row, gone = self.labels.row(RunRow, run_id=id_)
        label = self.labels.run(id_)
        if row is None or label is None:
            msg = f"there is no run {id_}"
            raise NotFoundError(msg)
        return RunFact(row, distinct(label, id_), gone)

    def text(self, slot: SlotId | None) -> Json:
        """Return a personal value, such as a description: ``None`` if there is none, ``[erased]`` if it was erased."""
        return None if slot is None else self.store.vault.get_many([slot]).get(slot, ERASED_TEXT)

    def edges(self, run_id: str, role: str) -> Iterator[EdgeRow]:
        """Yield what a run used (``in``) or logged (``out``), in the order in which it did."""
        after = None
        while rows := self.store.views.select(
            EdgeRow, at=self.at, run_id=run_id, role=role, order="edge_seq", after=after, limit=PAGE
        ):
            yield from rows
            after = rows[-1].edge_seq

    def versions_of(self, artifact_id: str) -> Iterator[str]:
        """Yield the ids of all versions that an artifact ever had."""
        after = None
        while rows := self.store.views.select(
            VersionRow, at=self.at, artifact_id=artifact_id, order="index", after=after, limit=PAGE
        ):
            yield from (row.version_id for row in rows)
            after = rows[-1].index

    def about(self, subject: str, kind: type) -> Iterator[StreamId]:
        """Yield the streams of the events of one kind about a subject, oldest first."""
        after = None
        while rows := self.store.views.select(
            TimelineRow, subject_id=subject, order="event_seq", after=after, limit=PAGE
        ):
            for row in rows:
                if row.event_seq > self.at:
                    return
                for recorded in self.store.ledger.read(after=row.event_seq - 1, until=row.event_seq):
                    if isinstance(recorded.event, kind):
                        yield recorded.stream
            after = rows[-1].event_seq
            self.forget()

    def _ended(self, row: VersionRow) -> Ended | None:
        if row.state != version.State.COMMITTED.value:
            marked = self._last(row.version_id, version.MarkedDeleted)
            gone = version.State(row.state) in version.GOING
            purged = self._last(row.version_id, (version.LetGo, version.Purged)) if gone else None
            return Ended(marked or purged or row.updated_at, row.state, purged)
        label = self.labels.artifact(row.artifact_id)
        if label is None or not label.gone:
            return None
        held = self.labels.artifact_row(row.artifact_id)
        ends = [
            self._last(row.artifact_id, artifact.ArtifactDeleted),
            self._last(held.project_id, project.ProjectDeleted) if held else None,
        ]
        found = [end for end in ends if end is not None]
        return Ended(min(found), version.State.DELETED.value) if found else None

    def _last(self, stream: str, kind: type | tuple[type, ...]) -> Micros | None:
        """Return when an event of a kind, or of one of several, was last recorded in a stream."""
        found = None
        for recorded in self.store.ledger.read(until=self.at, stream=StreamId(stream)):
            found = recorded.recorded_at if isinstance(recorded.event, kind) else found
        return found


def distinct(label: Label, id_: str) -> str:
    """Return the path of a thing; where a name in it was erased, with the beginning of its id, so that it is one."""
    return f"{label.path}#{id_[:8]}" if ERASED_TEXT in label.path else label.path


def placeholder(entry_id: str) -> str:
    """Return what stands for an erased entry: never its path, but the same in every export."""
    return f"{ERASED_TEXT}#{entry_id[:8]}"


def uuid_of(id_: str) -> str:
    """Return one of our ids, 32 hexadecimal characters, with the dashes of a UUID."""
    return "-".join((id_[:8], id_[8:12], id_[12:16], id_[16:20], id_[20:]))


def time_of(at: Micros) -> str:
    """Return a time as all exports write it: RFC 3339 in UTC."""
    return clock.to_text(at)


def document(value: Json) -> Iterator[bytes]:
    """Yield a JSON document; equal values are equal bytes."""
    yield json.dumps(value, ensure_ascii=False, allow_nan=False, indent=1, sort_keys=True).encode() + b"\n"


def line(value: Json) -> bytes:
    """Return a JSON value on one line; equal values are equal bytes."""
    return (
        json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True).encode() + b"\n"
    )
