"""R15, promotion history: which alias moved from where to where, by whom, and who was what at the end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from attrs import frozen

from muniment.app import catalog
from muniment.app.reports.shape import Cells, Report, Scope, Sheet, counted, flag, moment, number, text
from muniment.domain.alias import AliasMoved, AliasRemoved, LatestMoved, LatestRemoved
from muniment.domain.ports import Recorded
from muniment.domain.rows import (
    AliasRow,
    ArtifactRow,
    CollectionRow,
    LatestRow,
    LinkRow,
    ProtectedAliasRow,
    VersionRow,
)
from muniment.domain.values import ERASED_TEXT, LATEST, ArtifactId, CollectionId, RegistryId, owner_of

MOVES: Final = AliasMoved | AliasRemoved | LatestMoved | LatestRemoved


@frozen
class Move:
    """An alias that was put on a version or taken away: of whom, and which."""

    recorded: Recorded
    owner: str
    alias: str
    before: str | None
    after: str | None


def moves(scope: Scope, after: int) -> Iterator[Move]:
    """Yield every move of an alias by hand, in the order in which they happened."""
    names: dict[str, str] = {}
    for recorded in scope.store.ledger.read(after=after, until=scope.at):
        event = recorded.event
        if isinstance(event, MOVES):
            owner = owner_of(recorded.stream)
            if isinstance(event, LatestMoved | LatestRemoved):
                to = event.to if isinstance(event, LatestMoved) else None
                yield Move(recorded, owner, LATEST, _latest_before(scope, owner, recorded.seq), to)
                continue
            if recorded.stream not in names:
                row = scope.store.views.find(AliasRow, at=scope.at, slot=recorded.stream)
                names[recorded.stream] = (row.alias if row else None) or ERASED_TEXT
            yield Move(
                recorded,
                owner,
                names[recorded.stream],
                event.before,
                event.to if isinstance(event, AliasMoved) else None,
            )


def history(scope: Scope) -> Iterator[Cells]:
    """Yield a row for each move."""
    for move in moves(scope, scope.after):
        yield (
            move.recorded.seq,
            move.recorded.recorded_at,
            move.owner,
            scope.name(move.owner),
            move.alias,
            int(_protected(scope, move)),
            move.before,
            scope.name(move.before),
            move.after,
            scope.name(move.after),
            "removed" if move.after is None else "set" if move.before is None else "moved",
            move.recorded.actor,
            move.recorded.on_behalf_of,
            move.recorded.run,
            move.recorded.command,
            move.recorded.source,
        )


def standing(scope: Scope) -> Iterator[Cells]:
    """Yield where each alias pointed after the last event, whoever had put it there."""
    last: dict[tuple[str, str], Move] = {}
    for move in moves(scope, 0):
        key = move.recorded.stream, move.alias
        if move.after is None:
            last.pop(key, None)
        else:
            last[key] = move
    for move in sorted(last.values(), key=lambda move: (move.owner, move.alias, move.recorded.seq)):
        label = scope.labels.of(move.owner)
        if label is not None and not label.gone and _holds(scope, move):
            yield (
                move.owner,
                label.path,
                move.alias,
                int(_protected(scope, move)),
                move.after,
                scope.name(move.after),
                _state(scope, move.after),
                move.recorded.recorded_at,
                move.recorded.seq,
                move.recorded.actor,
            )


def _holds(scope: Scope, move: Move) -> bool:
    """Whether an alias points there still; ``latest`` goes on by itself when a version is made or linked."""
    if not isinstance(move.recorded.event, LatestMoved):
        return True
    views, at = scope.store.views, scope.at
    artifact = views.find(ArtifactRow, at=at, artifact_id=ArtifactId(move.owner))
    collection = views.find(CollectionRow, at=at, collection_id=CollectionId(move.owner))
    newest: VersionRow | LinkRow | None = None
    if artifact is not None:
        newest = catalog.latest_version(views, artifact, at)
    elif collection is not None:
        newest = catalog.latest_link(views, collection, at)
    return newest is not None and newest.version_id == move.after


def _latest_before(scope: Scope, owner: str, seq: int) -> str | None:
    row = scope.store.views.find(LatestRow, at=seq - 1, owner_id=owner)
    return row.version_id if row else None


def _state(scope: Scope, version_id: str | None) -> str | None:
    row, _ = scope.labels.row(VersionRow, version_id=version_id or "")
    return row.state if row else None


def _protected(scope: Scope, move: Move) -> bool:
    """Whether the alias was a protected one when it was moved."""
    views, at = scope.store.views, move.recorded.seq
    row = views.find(CollectionRow, at=at, collection_id=CollectionId(move.owner))
    if row is None:
        return False
    key = {"registry_id": RegistryId(row.registry_id), "alias": move.alias}
    return views.find(ProtectedAliasRow, at=at, **key) is not None


REPORT: Final = Report(
    name="promotion-history",
    number="R15",
    title="Promotion history",
    reader="auditors, model risk managers",
    note="What `latest` comes to because a version was made or deleted is no move by anybody, so it is not told here.",
    sheets=(
        Sheet(
            "moves",
            "Which alias was put where",
            (
                number("seq", "the place of the event in the ledger"),
                moment("at", "when"),
                text("owner_id", "the id of the artifact or collection that has the alias"),
                text("owner", "its name; [erased] where it was redacted"),
                text("alias", "the alias"),
                flag("protected", "whether only admins might move it"),
                text("from_id", "the id of the version that it pointed at before"),
                text("from", "that version"),
                text("to_id", "the id of the version that it points at since"),
                text("to", "that version"),
                counted("act", "set, moved or removed"),
                text("actor", "the id of who moved it"),
                text("on_behalf_of", "the id of whom it was done for"),
                text("run", "the id of the run that it was done in"),
                text("command", "the id of the command"),
                counted("source", "through what it was done"),
            ),
            history,
        ),
        Sheet(
            "as-of",
            "Who was what at the end",
            (
                text("owner_id", "the id of the artifact or collection that has the alias"),
                text("owner", "its name; [erased] where it was redacted"),
                text("alias", "the alias"),
                flag("protected", "whether only admins might move it when it was put there"),
                text("version_id", "the id of the version that it pointed at"),
                text("version", "that version"),
                counted("state", "whether it was committed, deleted or purged by then"),
                moment("since", "since when"),
                number("seq", "the event that put it there"),
                text("actor", "the id of who had put it there"),
            ),
            standing,
        ),
    ),
)
