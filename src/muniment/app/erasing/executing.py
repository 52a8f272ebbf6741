"""Erasing what is about a data subject: fenced first, then taken out of every place, its keys destroyed last.

Every step may be done again: what is gone already stays gone. So an erasure that was interrupted is simply begun again.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final

from attrs import define, evolve, field

from muniment.app import approvals, clock, fence, leases, redaction
from muniment.app.erasing import data_subjects, deleting, noting, parts, planning, requests
from muniment.app.erasing.data_subjects import readable
from muniment.app.erasing.planning import LIVING, Plan
from muniment.app.manifests import Removed
from muniment.app.personal import personal_slots
from muniment.app.reach import team_of
from muniment.app.scrub import scrub
from muniment.app.store import Store
from muniment.app.transact import Request, Steps
from muniment.app.upload import upload
from muniment.domain import alias as aliases
from muniment.domain import artifact as artifacts
from muniment.domain import collection as collections
from muniment.domain import data_subject as subjects
from muniment.domain import request as wanted
from muniment.domain import run as runs
from muniment.domain import version as versions
from muniment.domain.errors import ConflictError, InvalidValueError
from muniment.domain.evidence import Trigger
from muniment.domain.ports import Recorded, Views
from muniment.domain.request import REQUEST, Right, Stage, Verdict
from muniment.domain.rows import AliasRow, ArtifactRow, LinkRow, RequestRow, RunRow, TimelineRow, VersionRow
from muniment.domain.values import ArtifactId, Residual, SlotId, StreamId, TeamId, VersionId, owner_of
from muniment.domain.version import LetGo, ManifestReplaced

PAGE: Final = 1_000
DONE: Final = frozenset(stage.value for stage in (Stage.EXECUTED, Stage.VERIFIED, Stage.CERTIFIED, Stage.CLOSED))


class Step(enum.Enum):
    """The steps of an erasure, in their order."""

    NOTE = "note"
    MANIFESTS = "manifests"
    VERSIONS = "versions"
    PARTS = "parts"
    BLOBS = "blobs"
    CACHES = "caches"
    WORDS = "words"
    VAULT = "vault"
    SCRUB = "scrub"


@define
class Eraser:
    """Carries one request out.

    *wait* is for how many seconds uploads that began before are waited for. A step in *without* is left out, which
    only drills do, to see that it is missed; *after* is called after each step.
    """

    store: Store
    request_id: str
    wait: float = 0.0
    without: frozenset[Step] = frozenset()
    after: Callable[[Step], None] = lambda _: None
    _acts: dict[Step, Callable[[Plan], None]] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._acts = {
            Step.NOTE: partial(noting.note, self.store),
            Step.MANIFESTS: self._replace_manifests,
            Step.VERSIONS: self._end_whole,
            Step.PARTS: partial(parts.drop, self.store),
            Step.BLOBS: partial(deleting.dispose, self.store, wait=self.wait),
            Step.CACHES: self._evict,
            Step.WORDS: self._redact,
            Step.VAULT: self._destroy,
            Step.SCRUB: self._scrub,
        }

    def fence(self) -> Plan:
        """Let nothing of it come back from now on, and freeze what is to go; once is enough."""
        row = requests.request(self.store.views, self.request_id)
        _require_erasure(row)
        there = planning.saved(self.store, self.request_id)
        if there is not None and row.stage in {Stage.FENCED.value, *DONE}:
            return planning.settled(self.store, there)
        plan = self._planned(row)
        if row.stage == Stage.FENCED.value:
            return planning.settled(self.store, plan)

        def decide(steps: Steps) -> None:
            approvals.require_admin(steps.views, self.store.context, "erase data subjects")
            _require_scoped(steps.views, row)
            planning.require_free(steps.views, self.store, plan, steps.now)
            steps.step(subjects.DATA_SUBJECT, plan.subject_id, subjects.fence_subject, self.request_id)
            steps.step(REQUEST, self.request_id, wanted.fence_erasure)
            leases.end_all(steps)

        self.store.transact(Request("fence erasure", None, self.request_id), decide)
        return planning.settled(self.store, plan)

    def tried(self) -> Plan:
        """Return what would go, and change nothing; HeldError if it may not."""
        row = requests.request(self.store.views, self.request_id)
        _require_erasure(row)
        plan = planning.saved(self.store, self.request_id) or planning.make(self.store, row)[0]
        if row.stage not in DONE:
            planning.require_free(self.store.views, self.store, plan, self.store.clock())
        return plan

    def execute(self) -> RequestRow:
        """Do all that is to be done; ConflictError if uploads that began before are still running.

        What a store refuses to delete is StorageError, once all else was done. An erasure that was verified and left
        copies behind is executed again as soon as any of these can go.
        """
        row = requests.request(self.store.views, self.request_id)
        if row.stage in DONE and not self._goes_on(row):
            return row
        plan = self.fence()
        for step, act in self._acts.items():
            if step not in self.without:
                act(planning.saved(self.store, self.request_id) or plan)
            self.after(step)
        plan = planning.saved(self.store, self.request_id) or plan
        deleting.require_done(plan)

        def decide(steps: Steps) -> None:
            approvals.require_admin(steps.views, self.store.context, "erase data subjects")
            residual = min(plan.found - plan.kept, plan.residual + len(plan.told.get("left", ())))
            erased = plan.found - plan.kept - residual
            steps.step(subjects.DATA_SUBJECT, plan.subject_id, subjects.erase_subject, self.request_id)
            steps.step(REQUEST, self.request_id, wanted.record_execution, erased, plan.kept, residual)

        self.store.transact(Request("execute erasure", None, self.request_id), decide)
        return requests.request(self.store.views, self.request_id)

    def _goes_on(self, row: RequestRow) -> bool:
        """Open the request again if copies that had to stay may go by now."""
        plan = planning.saved(self.store, self.request_id)
        if plan is None or row.stage == Stage.EXECUTED.value or not (plan.shared or plan.told.get("left")):
            return False

        def permit(steps: Steps) -> None:
            approvals.require_admin(steps.views, self.store.context, "erase data subjects")

        self.store.transact(Request("erase what was left", None, self.request_id), permit)
        plan = deleting.freed(self.store, plan)
        if plan is None:
            return False
        fence.put_up(self.store, self.request_id, plan.going, ())
        planning.save(self.store, plan)

        def reopen(steps: Steps) -> None:
            steps.step(REQUEST, self.request_id, wanted.reopen_request, row.residual)

        self.store.transact(Request("reopen request", None, self.request_id), reopen)
        return True

    def _planned(self, row: RequestRow) -> Plan:
        plan, paths = planning.make(self.store, row)
        fence.put_up(self.store, self.request_id, plan.going, paths)
        return planning.save(self.store, plan)

    # --- the steps ---------------------------------------------------------------------------------------------------

    def _replace_manifests(self, plan: Plan) -> None:
        for version_id, terms in plan.entries.items():
            while not self._replaced(plan, version_id, terms):
                pass
        if Step.NOTE not in self.without:
            noting.note_lists(self.store, plan)

    def _replaced(self, plan: Plan, version_id: VersionId, terms: Sequence[str]) -> bool:
        """Give a version a manifest without these entries; return false if it has another one by then."""
        row = self.store.views.find(VersionRow, version_id=version_id)
        manifest = readable(self.store, version_id)
        gone = planning.listed(self.store, version_id, terms)
        if row is None or manifest is None or not gone:
            return True
        placed = self._placed(row)
        lease = leases.take(placed, self.request_id)
        try:
            written = upload(placed, lease, map(Removed, gone), base=manifest, incremental=True, fenced=False)
        except BaseException:
            leases.release(placed, lease)
            raise
        replaced = ManifestReplaced(
            plan.request_id, written.digest, written.manifest, written.size, written.entries, len(gone)
        )

        def decide(steps: Steps) -> bool:
            leases.spend(steps, lease)
            planning.require_free(
                steps.views, self.store, evolve(plan, entries={version_id: gone}, whole=[]), steps.now
            )
            now = steps.views.find(VersionRow, version_id=version_id)
            if now is None or now.manifest != row.manifest:
                return False
            steps.step(versions.VERSION, version_id, versions.replace_manifest, replaced)
            return True

        return bool(self.store.transact(Request("replace manifest", written.manifest, version_id), decide).answer)

    def _end_whole(self, plan: Plan) -> None:
        for version_id in plan.whole:
            self._end("erase version", version_id, partial(self._end_version, plan, version_id))
        for artifact_id in plan.artifacts:
            self._end("erase artifact", artifact_id, partial(self._end_artifact, artifact_id))
        for run_id in plan.runs:
            self._end("erase run", run_id, partial(_end_run, run_id))

    def _end(self, act: str, target: str, decide: Callable[[Steps], None]) -> None:
        self.store.transact(Request(act, None, target), decide)

    def _end_version(self, plan: Plan, version_id: VersionId, steps: Steps) -> None:
        row = steps.views.find(VersionRow, version_id=version_id)
        if row is None or row.state not in LIVING:
            return
        planning.require_free(steps.views, self.store, evolve(plan, entries={}, whole=[version_id]), steps.now)
        _let_loose(steps, version_id)
        going = LetGo(Trigger.ERASURE, row.deleted_at, steps.now, plan.request_id)
        steps.step(versions.VERSION, version_id, versions.let_go, going)

    def _end_artifact(self, artifact_id: str, steps: Steps) -> None:
        """Let the name of an artifact go, unless versions of it are kept."""
        rows = steps.views.select(VersionRow, artifact_id=ArtifactId(artifact_id), order="index")
        if steps.views.find(ArtifactRow, artifact_id=artifact_id) and not any(row.state in LIVING for row in rows):
            steps.step(artifacts.ARTIFACT, artifact_id, artifacts.delete_artifact)

    def _evict(self, plan: Plan) -> None:
        """Drop it from the cache of this machine."""
        for result in self.store.cache.delete_many(sorted({*plan.going, *plan.manifests})):
            if result.error is not None:
                raise result.error

    def _redact(self, plan: Plan) -> None:
        def allow(steps: Steps) -> None:
            row = requests.request(steps.views, self.request_id)
            _require_erasure(row)
            if row.stage != Stage.FENCED.value:
                msg = "words are destroyed once the request is fenced"
                raise InvalidValueError(msg)

        seqs = sorted({recorded.seq for recorded in words(self.store, plan)})
        redaction.redact(self.store, seqs, request_id=self.request_id, allow=allow)

    def _destroy(self, plan: Plan) -> None:
        for owner in (plan.subject_id, *gone_artifacts(self.store, plan), *plan.runs, *plan.users):
            self.store.vault.destroy(owner)
        doomed = set(slots(self.store, plan))
        if doomed:
            self.store.vault.sweep(lambda page: set(page) - doomed, self.store.clock() + 1)

    def _scrub(self, plan: Plan) -> None:
        """Make files and tables forget what was deleted, and keep what is told of copies that nobody reaches."""
        left = [{"place": each.place, "why": each.why, "ends_at": _until(each)} for each in scrub(self.store)]
        planning.save(self.store, planning.with_told(plan, residuals=left))

    def _placed(self, row: VersionRow) -> Store:
        team_id: TeamId | None = team_of(self.store.views, row)
        return self.store if team_id is None else self.store.of_team(team_id)


def _let_loose(steps: Steps, version_id: VersionId) -> None:
    """Let no alias and no link lead to a version any more."""
    for alias in steps.views.select(AliasRow, version_id=version_id, order="alias"):
        steps.step(aliases.ALIAS, alias.slot, aliases.remove_alias, alias.alias or "", expected=version_id)
    for link in steps.views.select(LinkRow, version_id=version_id, order="link_id"):
        steps.step(collections.LINK, link.link_id, collections.unlink, link.collection_id, version_id)


def _until(residual: Residual) -> str | None:
    return None if residual.ends_at is None else clock.to_text(residual.ends_at)


def _end_run(run_id: str, steps: Steps) -> None:
    if steps.views.find(RunRow, run_id=run_id) is not None:
        steps.step(runs.RUN, run_id, runs.delete_run)


def words(store: Store, plan: Plan) -> Iterator[Recorded]:
    """Yield the events whose words name what is erased: paths, contents, and all names of what goes as a whole."""
    yield from deleting.ended(store, plan.request_id)
    for recorded in store.ledger.read(stream=StreamId(plan.subject_id)):
        if isinstance(recorded.event, subjects.EntriesAttached):
            yield recorded
    for version_id in plan.entries:
        yield from _listings(store, version_id)
    for owner in (*plan.whole, *gone_artifacts(store, plan), *plan.runs):
        yield from (each for each in about(store, owner) if _is_of(each, owner) or _makes(each, owner))


def slots(store: Store, plan: Plan) -> Iterator[SlotId]:
    """Yield where personal values about versions that go as a whole are kept under the key of their artifact.

    Those of versions that went before are among them: their values may have come back with an old vault.
    """
    for version_id in dict.fromkeys([*plan.whole, *planning.whole_ever(store.views, plan)]):
        for recorded in about(store, version_id):
            if _is_of(recorded, version_id) or _makes(recorded, version_id):
                yield from personal_slots(recorded.event)


def gone_artifacts(store: Store, plan: Plan) -> list[str]:
    """Return the artifacts of which nothing is kept."""

    def is_gone(artifact_id: str) -> bool:
        rows = store.views.select(VersionRow, artifact_id=ArtifactId(artifact_id), order="index")
        return not any(row.state in LIVING for row in rows)

    return [each for each in plan.artifacts if is_gone(each)]


def about(store: Store, id_: str) -> Iterator[Recorded]:
    """Yield all events that concern a thing."""
    after = None
    while rows := store.views.select(TimelineRow, subject_id=id_, order="event_seq", after=after, limit=PAGE):
        for row in rows:
            yield from store.ledger.read(after=row.event_seq - 1, until=row.event_seq)
        after = rows[-1].event_seq


def _listings(store: Store, version_id: VersionId) -> Iterator[Recorded]:
    """Yield the events that name earlier manifests of a version."""
    listing = [
        each
        for each in about(store, version_id)
        if _makes(each, version_id) or (_is_of(each, version_id) and isinstance(each.event, ManifestReplaced))
    ]
    return iter(listing[:-1])


def _makes(recorded: Recorded, version_id: str) -> bool:
    event = recorded.event
    return isinstance(event, artifacts.VersionCreated) and event.version_id == version_id


def _is_of(recorded: Recorded, owner: str) -> bool:
    return owner_of(recorded.stream) == owner


def _require_erasure(row: RequestRow) -> None:
    if row.right != Right.ERASURE.value or row.verdict in {None, Verdict.REFUSED.value}:
        msg = "only an erasure that was approved is carried out — see: muniment request show"
        raise InvalidValueError(msg)


def _require_scoped(views: Views, row: RequestRow) -> None:
    """Refuse what was decided about other things than are attached now: ConflictError."""
    found = data_subjects.attached(views, row.subject_id).count
    if found != row.found:
        msg = (
            f"{found} things are about the data subject by now, but {row.found} were decided on — "
            f"scope and decide again: muniment request scope {row.request_id}"
        )
        raise ConflictError(msg)
