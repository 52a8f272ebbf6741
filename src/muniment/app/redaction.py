"""Redaction in use: destroying the words of events, which takes two people, and making the rows again without them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from hashlib import sha256

from muniment.app import approvals, holds, projector
from muniment.app.store import Store
from muniment.app.transact import Request, Steps
from muniment.domain import redaction
from muniment.domain.approval import Act
from muniment.domain.errors import InvalidValueError
from muniment.domain.ports import Recorded, Views
from muniment.domain.redaction import EventsRedacted
from muniment.domain.rows import ArtifactRow, HoldRow, OrganisationRow, VersionRow
from muniment.domain.values import OrganisationId, owner_of

Allow = Callable[[Steps], None]
"""What lets a redaction happen inside its command, or refuses it."""


def redact(store: Store, seqs: Iterable[int], *, request_id: str | None = None, allow: Allow | None = None) -> int:
    """Destroy the words of events for good and make the rows again; return how many events lost theirs.

    Events without words are left out, and what was redacted before stays so. Without *allow* another admin must have
    approved this very set of events. It can be done again after it was interrupted.
    """
    gone = destroy(store, seqs, request_id=request_id, allow=allow)
    store.ledger.rebuild()
    projector.rebuild(store)
    return len(gone)


def destroy(
    store: Store, seqs: Iterable[int], *, request_id: str | None = None, allow: Allow | None = None
) -> tuple[int, ...]:
    """Destroy the words of events as ``redact`` does, but leave the rows; return which events lost theirs."""
    wanted = sorted(set(seqs))
    fresh = tuple((seq, commit) for seq in wanted if (commit := _still_told(store, seq)) is not None)
    events = [recorded for seq, _ in fresh for recorded in store.ledger.read(after=seq - 1, until=seq)]

    def decide(steps: Steps) -> None:
        approvals.require_admin(steps.views, store.context, "redact events")
        for recorded in events:
            _require_free(steps.views, recorded)
        if allow is None:
            approvals.carry_out(steps, Act.REDACT, target_of(wanted))
        else:
            allow(steps)
        stream = redaction.redactions_stream(store.context.organisation)
        steps.step(redaction.REDACTION, stream, redaction.redact_events, fresh, request_id)

    if fresh:
        store.transact(Request("redact", None, request_id), decide)
    return tuple(seq for seq, _ in fresh)


def target_of(seqs: Iterable[int]) -> str:
    """Return what an approval to redact these events is for: one text for one set of events."""
    wanted = sorted(set(seqs))
    if not wanted:
        msg = "name the events to redact, by their numbers"
        raise InvalidValueError(msg)
    return sha256(json.dumps(wanted).encode()).hexdigest()[:32]


def commitment(store: Store, seq: int) -> str | None:
    """Return the commitment to the words of an event that its leaf holds, ``None`` if there never were any."""
    found: str | None = json.loads(store.ledger.leaf(seq).text).get("words_commit")
    return found


def redacted(store: Store) -> int:
    """Return how many events lost their words on purpose."""
    organisations = (row.organisation_id for row in store.views.select(OrganisationRow, order="name"))
    streams = (redaction.redactions_stream(OrganisationId(each)) for each in organisations)
    events = (recorded.event for stream in streams for recorded in store.ledger.read(stream=stream))
    return len({seq for event in events if isinstance(event, EventsRedacted) for seq in event.seqs})


def _still_told(store: Store, seq: int) -> str | None:
    """Return the commitment to the words of an event, ``None`` if it has none, or none any more."""
    leaf = store.ledger.leaf(seq)
    found: str | None = None if leaf.words is None else json.loads(leaf.text)["words_commit"]
    return found


def _require_free(views: Views, recorded: Recorded) -> None:
    """Refuse to redact what is said of something held, and the tag that a hold in force goes by."""
    what = f"what event {recorded.seq} says"
    owner = owner_of(recorded.stream)
    meant = (getattr(recorded.event, name, None) for name in ("version_id", "to", "before"))
    for id_ in {each for each in meant if isinstance(each, str)} or {owner}:
        version = views.find(VersionRow, version_id=id_)
        artifact = views.find(ArtifactRow, artifact_id=id_)
        if version is not None:
            holds.refuse(holds.on_version(views, version), what)
        elif artifact is not None:
            holds.refuse(holds.on_artifact(views, artifact), what)
    placed = views.select(HoldRow, state=holds.PLACED, order="placed_at")
    holds.refuse(tuple(row for row in placed if owner in {row.target, row.hold_id}), what)
