"""What the searches of the library ask about: the fields of registries, collections, versions and runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

from muniment.app import catalog, clock, directory
from muniment.app.catalog import Found
from muniment.app.sdk.pages import Fetch, sifted, sorted_by
from muniment.app.search import matcher
from muniment.app.store import Store
from muniment.domain.errors import InvalidValueError
from muniment.domain.rows import ArtifactRow, CollectionRow, RegistryRow, RunRow, TagRow
from muniment.domain.values import REGISTRY_PREFIX, Json, Micros, SlotId

R = TypeVar("R")

Documents = Callable[[Sequence[R]], list[dict[str, Json]]]
"""Makes of each row the document that a filter is held against; personal values are read in one batch."""

REGISTRY_FIELDS: Final = ("id", "name", "entity_id", "description", "created_at", "updated_at")
COLLECTION_FIELDS: Final = ("id", "name", "tag", "type", "description", "created_at", "updated_at")
VERSION_FIELDS: Final = (
    *("id", "name", "version", "tag", "alias", "metadata", "description", "artifact_size", "digest", "type"),
    *("created_at", "updated_at", "linked_at"),
)
RUN_FIELDS: Final = (
    *("id", "name", "display_name", "displayName", "state", "config", "summary", "summary_metrics", "group", "tags"),
    *("job_type", "jobType", "notes", "username", "user", "created_at", "createdAt"),
)
TIMES: Final = ("created_at", "updated_at", "linked_at", "createdAt")


def filtered(
    fetch: Fetch[R], filter_: Mapping[str, Any] | None, fields: Iterable[str], documents: Documents[R]
) -> Fetch[R]:
    """Leave out the rows that a filter does not let pass."""
    if filter_ is None or filter_ == {}:
        return fetch
    passes = matcher(normal(filter_, tuple(fields)))
    return sifted(fetch, lambda rows: [passes(document) for document in documents(rows)])


def ordered(fetch: Fetch[R], order: str, fields: Iterable[str], documents: Documents[R]) -> Fetch[R]:
    """Order rows by a field that no index orders by."""
    name, descending = direction(order)
    if name not in fields or name in {"metadata", "tag", "tags", "alias", "config", "summary"}:
        msg = f"there is no order by {name!r} — use one of {', '.join(fields)}, with + or - before it"
        raise InvalidValueError(msg)

    def keys(rows: Sequence[R]) -> list[tuple[bool, Any]]:
        values = [document.get(name) for document in documents(rows)]
        return [(value is not None, value) for value in values]

    return sorted_by(fetch, keys, descending=descending)


def direction(order: str) -> tuple[str, bool]:
    """Read ``-created_at`` as the field and whether it descends."""
    if not isinstance(order, str) or not order.lstrip("+-"):
        msg = f"{order!r} is no order — write for example 'name' or '-created_at'"
        raise InvalidValueError(msg)
    return order.lstrip("+-"), order.startswith("-")


def normal(filter_: Any, fields: tuple[str, ...], field: str | None = None) -> Any:  # noqa: ANN401 (any JSON value)
    """Return a filter with times in our form and registries by their short names; unknown fields are refused."""
    if isinstance(filter_, Mapping):
        return {key: normal(value, fields, _field(str(key), fields, field)) for key, value in filter_.items()}
    if isinstance(filter_, list | tuple):
        return [normal(each, fields, field) for each in filter_]
    if isinstance(filter_, str) and field in TIMES:
        return clock.to_text(clock.from_text(filter_))
    if isinstance(filter_, str) and field == "name" and "entity_id" in fields:
        return filter_.replace(REGISTRY_PREFIX, "", 1)
    return filter_


def _field(key: str, fields: tuple[str, ...], around: str | None) -> str | None:
    if key.startswith("$") or around is not None:
        return around
    if key.split(".", maxsplit=1)[0] not in fields:
        msg = f"there is no field {key!r} to filter by — use one of {', '.join(fields)}"
        raise InvalidValueError(msg)
    return key


# --- documents -------------------------------------------------------------------------------------------------------


def of_registries(store: Store) -> Documents[RegistryRow]:
    """Describe registries."""

    def documents(rows: Sequence[RegistryRow]) -> list[dict[str, Json]]:
        texts = personal(store, (row.description for row in rows))
        return [
            {
                "id": row.registry_id,
                "name": row.name,
                "entity_id": row.organisation_id,
                "description": texts.get(row.description),
                "created_at": clock.to_text(row.created_at),
                "updated_at": clock.to_text(row.updated_at),
            }
            for row in rows
        ]

    return documents


def of_collections(store: Store, at: int | None) -> Documents[CollectionRow]:
    """Describe the collections of registries."""

    def documents(rows: Sequence[CollectionRow]) -> list[dict[str, Json]]:
        texts = personal(store, (row.description for row in rows))
        return [_collection(store, at, row, texts, id_=row.collection_id, updated_at=row.updated_at) for row in rows]

    return documents


def of_artifacts(store: Store, at: int | None) -> Documents[ArtifactRow]:
    """Describe the artifacts of a project as collections; when one was changed is not known, only when it began."""

    def documents(rows: Sequence[ArtifactRow]) -> list[dict[str, Json]]:
        texts = personal(store, (row.description for row in rows))
        return [_collection(store, at, row, texts, id_=row.artifact_id, updated_at=row.created_at) for row in rows]

    return documents


def _collection(
    store: Store,
    at: int | None,
    row: CollectionRow | ArtifactRow,
    texts: Mapping[SlotId | None, Json],
    *,
    id_: str,
    updated_at: Micros,
) -> dict[str, Json]:
    return {
        "id": id_,
        "name": row.name,
        "type": row.type,
        "tag": tags(store, id_, at),
        "description": texts.get(row.description),
        "created_at": clock.to_text(row.created_at),
        "updated_at": clock.to_text(updated_at),
    }


def of_versions(store: Store, at: int | None) -> Documents[Found]:
    """Describe versions as they were reached."""

    def documents(rows: Sequence[Found]) -> list[dict[str, Json]]:
        texts = personal(store, (slot for row in rows for slot in (row.version.metadata, row.version.description)))
        return [_version(store, row, at, texts) for row in rows]

    return documents


def _version(store: Store, row: Found, at: int | None, texts: Mapping[SlotId | None, Json]) -> dict[str, Json]:
    version, link = row.version, row.link
    return {
        "id": version.version_id,
        "name": (row.collection or row.artifact).name,
        "type": row.artifact.type,
        "version": f"v{version.index if link is None else link.index}",
        "tag": tags(store, version.version_id, at),
        "alias": catalog.all_aliases(store.views, row, at),
        "metadata": texts.get(version.metadata) or {},
        "description": texts.get(version.description),
        "artifact_size": version.size,
        "digest": version.digest,
        "created_at": clock.to_text(version.created_at),
        "updated_at": clock.to_text(version.updated_at),
        "linked_at": None if link is None else clock.to_text(link.linked_at),
    }


def of_runs(store: Store) -> Documents[RunRow]:
    """Describe runs; W&B's own spellings of the fields are there too."""

    def documents(rows: Sequence[RunRow]) -> list[dict[str, Json]]:
        texts = personal(store, (slot for row in rows for slot in (row.config, row.summary, row.notes)))
        logins = directory.logins(store, {row.actor for row in rows})
        return [_run(row, texts, logins.get(row.actor)) for row in rows]

    return documents


def _run(row: RunRow, texts: Mapping[SlotId | None, Json], login: str | None) -> dict[str, Json]:
    created, summary = clock.to_text(row.started_at), texts.get(row.summary) or {}
    return {
        "id": row.run_id,
        "name": row.key,
        "display_name": row.name,
        "displayName": row.name,
        "state": row.state,
        "config": texts.get(row.config) or {},
        "summary": summary,
        "summary_metrics": summary,
        "group": row.group,
        "tags": row.tags.split("\n") if row.tags else [],
        "job_type": row.job_type,
        "jobType": row.job_type,
        "notes": texts.get(row.notes),
        "username": login,
        "user": login,
        "created_at": created,
        "createdAt": created,
    }


def tags(store: Store, owner: str, at: int | None) -> list[str]:
    """Return the tags of anything that has tags."""
    rows = store.views.select(TagRow, at=at, owner_id=owner, order="tag")
    return [row.tag for row in rows if row.tag is not None]


def personal(store: Store, slots: Iterable[SlotId | None]) -> dict[SlotId | None, Json]:
    """Return personal values by their slots, as far as they were not erased."""
    wanted = {slot for slot in slots if slot is not None}
    values = store.vault.get_many(wanted) if wanted else {}
    return {slot: values[slot] for slot in wanted if slot in values}
