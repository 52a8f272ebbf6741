"""R1, the audit trail: every event of the ledger, as it is recorded, with the hash of its leaf."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Final

from attrs import define, field

from muniment.app.fields import is_redacted, plain_fields
from muniment.app.personal import personal_fields, personal_slots
from muniment.app.reports.shape import (
    BATCH,
    Cells,
    Report,
    Scope,
    Sheet,
    counted,
    flag,
    json_,
    moment,
    number,
    text,
)
from muniment.domain.ports import Recorded
from muniment.domain.rows import (
    ArtifactRow,
    CollectionRow,
    OrganisationRow,
    ProjectRow,
    RegistryRow,
    Row,
    RunRow,
    TeamRow,
    VersionRow,
)
from muniment.domain.values import ERASED_TEXT, SlotId, owner_of

MOST_NAMES: Final = 20_000
"""How many names are kept in memory at once."""
KINDS: Final[dict[str, type[Row]]] = {
    "artifact": ArtifactRow,
    "collection": CollectionRow,
    "organisation": OrganisationRow,
    "project": ProjectRow,
    "registry": RegistryRow,
    "run": RunRow,
    "team": TeamRow,
    "version": VersionRow,
}
"""The kinds of things whose rows are read many at a time, by the first word of the event's type."""


def rows(scope: Scope) -> Iterator[Cells]:
    """Yield a row for each event, in the order in which they were recorded."""
    names = _Names(scope)
    events = iter(scope.store.ledger.read(after=scope.after, until=scope.at))
    while batch := list(islice(events, BATCH)):
        leaves = scope.store.ledger.subtrees(0, batch[0].seq - 1, batch[-1].seq)
        objects = [_object(recorded) for recorded in batch]
        names.look_up(objects)
        slots = (slot for recorded in batch for slot in personal_slots(recorded.event))
        values = scope.values(slots) if scope.revealed else {}
        for recorded, leaf, (kind, id_) in zip(batch, leaves, objects, strict=True):
            told = plain_fields(recorded.event, empty=False)
            yield (
                recorded.seq,
                leaf.hex(),
                recorded.event_id,
                recorded.recorded_at,
                recorded.organisation,
                recorded.actor,
                scope.actor_kind(recorded.actor),
                recorded.on_behalf_of,
                recorded.run,
                recorded.request,
                recorded.correlation,
                recorded.causation,
                recorded.command,
                recorded.source,
                recorded.type,
                recorded.audit.value,
                recorded.outcome,
                kind,
                id_,
                names.of(kind, id_),
                recorded.stream,
                recorded.position,
                told,
                int(ERASED_TEXT in told.values() and is_redacted(recorded.event)),
                _revealed(recorded.event, values) if scope.revealed else None,
            )


def _object(recorded: Recorded) -> tuple[str, str]:
    """Return the kind and id of what an event is about."""
    kind = recorded.type.partition(".")[0]
    version_id = getattr(recorded.event, "version_id", None)
    if version_id is not None and kind in {"version", "principal"}:
        return "version", version_id
    return kind, owner_of(recorded.stream)


@define
class _Names:
    """What the things that events are about are called at the end of the report."""

    scope: Scope
    artifacts: dict[str, str] = field(factory=dict)

    def look_up(self, objects: Iterable[tuple[str, str]]) -> None:
        """Read the rows of all that a batch is about, many at a time."""
        labels = self.scope.labels
        labels.forget(MOST_NAMES)
        if len(self.artifacts) > MOST_NAMES:
            self.artifacts.clear()
        wanted: dict[str, set[str]] = {}
        for kind, id_ in objects:
            wanted.setdefault(kind, set()).add(id_)
        wanted["artifact"] = wanted.get("artifact", set()) | wanted.get("alias", set())
        for kind, row in KINDS.items():
            labels.learn(row, wanted.get(kind, set()))

    def of(self, kind: str, id_: str) -> str | None:
        """Return the name of a thing, ``None`` where it has none."""
        if kind == "version":
            row, _ = self.scope.labels.row(VersionRow, version_id=id_)
            return f"{self._artifact(row.artifact_id)}:v{row.index}" if row else None
        if kind in {"artifact", "alias"}:
            return self._artifact(id_)
        look = getattr(self.scope.labels, kind) if kind in KINDS else None
        label = look(id_) if look else None
        return label.path if label else None

    def _artifact(self, id_: str) -> str | None:
        """Return what an artifact is called, or the collection whose alias it is."""
        if id_ not in self.artifacts:
            label = self.scope.labels.artifact(id_) or self.scope.labels.collection(id_)
            self.artifacts[id_] = label.path if label else ERASED_TEXT
        return self.artifacts[id_]


def _revealed(event: Any, values: dict[SlotId, Any]) -> dict[str, Any] | None:  # noqa: ANN401 (any event)
    return {name: values[slot] for name, slot in personal_fields(event)} or None


REPORT: Final = Report(
    name="audit-trail",
    number="R1",
    title="Audit trail",
    reader="auditors",
    page=False,
    sheets=(
        Sheet(
            "events",
            "Events",
            (
                number("seq", "the place of the event in the ledger, from 1; its leaf is the one before in the tree"),
                text("leaf_hash", "the hash of its leaf, in hexadecimal"),
                text("event_id", "its id"),
                moment("recorded_at", "when it was recorded"),
                text("organisation", "the id of the organisation"),
                text("actor", "the id of who acted"),
                counted("actor_kind", "human, service or system"),
                text("on_behalf_of", "the id of whom it was done for"),
                text("run", "the id of the run that it was done in"),
                text("request", "the request that led to it"),
                text("correlation", "what it belongs to"),
                text("causation", "the id of the event that led to it"),
                text("command", "the id of the command; events of one command were recorded at once"),
                counted("source", "through what it was done"),
                counted("type", "what happened"),
                counted("class", "governance, change, access or security"),
                counted("outcome", "ok, denied or failed"),
                text("object_type", "what it happened to"),
                text("object_id", "the id of that"),
                text("object_name", "its name at the end of the report; [erased] where it was redacted"),
                text("stream", "the stream of the event"),
                number("position", "its place there, from 1"),
                json_("fields", "what the event says; personal values by slot and commitment only"),
                flag("redacted", "whether words of it were redacted"),
                json_("revealed", "the personal values, where the report shows them"),
            ),
            rows,
        ),
    ),
)
