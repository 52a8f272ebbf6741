"""Disposals: what went from where and how that was verified, and the copies that could not go yet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from muniment.app.projections.catalog import known
from muniment.domain import disposal, version
from muniment.domain.evidence import Evidence, Trigger
from muniment.domain.ports import Recorded
from muniment.domain.rows import Change, DisposalRow, Insert, Patch, ResidualRow
from muniment.domain.values import Micros

LEFT, ENDED = "left", "gone"


def fold(recorded: Recorded) -> Sequence[Change]:
    """Return what an event tells about bytes that went, or could not go."""
    match recorded.event:
        case version.Purged(evidence=evidence, places=places, trigger=Trigger() as trigger) as purged:
            dates = (purged.marked_at, purged.due_at)
            named, about = dict(enumerate(known(places) or ())), (recorded.stream, purged.request_id)
            return [
                Insert(_disposal(recorded, named.get(number), each, trigger, about, dates))
                for number, each in enumerate(evidence)
            ]
        case disposal.Disposed(trigger=trigger, evidence=evidence, place=place) as disposed:
            whose = (disposed.owner_id, disposed.request_id)
            return [Insert(_disposal(recorded, known(place), evidence, trigger, whose, (None, None)))]
        case disposal.CopiesLeft() as left:
            return [Insert(_residual(recorded, left))]
        case disposal.ResidualEnded():
            return [Patch(ResidualRow, (recorded.stream,), {"state": ENDED, "ended_at": recorded.recorded_at})]
        case _:
            return ()


def _disposal(
    recorded: Recorded,
    place: str | None,
    evidence: Evidence,
    trigger: Trigger,
    about: tuple[str | None, str | None],
    dates: tuple[Micros | None, Micros | None],
) -> DisposalRow:
    return DisposalRow(
        disposal_id=evidence.disposal_id,
        owner_id=about[0],
        request_id=about[1],
        trigger=trigger.value,
        place=place,
        method=evidence.method.value,
        verified_by=_joined(each.value for each in evidence.verified_by),
        blobs=evidence.blobs,
        size=evidence.size,
        copies=evidence.copies,
        residual=evidence.residual,
        marked_at=dates[0],
        due_at=dates[1],
        at=recorded.recorded_at,
    )


def _residual(recorded: Recorded, left: disposal.CopiesLeft) -> ResidualRow:
    return ResidualRow(
        residual_id=recorded.stream,
        disposal_id=left.disposal_id,
        state=LEFT,
        place=known(left.place),
        why=left.why.value,
        copies=left.copies,
        ends_at=left.ends_at,
        found_at=recorded.recorded_at,
        ended_at=None,
    )


def _joined(words: Iterable[str]) -> str:
    return "+".join(words)
