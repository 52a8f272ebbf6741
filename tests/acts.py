"""Short words for what happens in a store, and a story in which nearly everything happens once."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest
from attrs import frozen

from muniment.app import (
    activities,
    approvals,
    catalog,
    directory,
    holds,
    lifecycle,
    link_artifact,
    names,
    policies,
    registries,
    runs,
)
from muniment.app.catalog import Found
from muniment.app.collecting import residuals
from muniment.app.lifecycle import Edits
from muniment.app.log_artifact import Draft, Logged, log
from muniment.app.store import Store
from muniment.app.transact import Request, Steps, new_id
from muniment.domain import data_subject, disposal, report, request
from muniment.domain import version as versions
from muniment.domain.approval import Act
from muniment.domain.errors import VersionHeldError
from muniment.domain.evidence import Check, Evidence, Method, Trigger
from muniment.domain.hold import HoldKind, ScopeKind
from muniment.domain.policy import Terms
from muniment.domain.processing import LegalBasis
from muniment.domain.rows import ArtifactRow, ProjectRow, RegistryRow
from muniment.domain.values import Digest, RunId, Ttl

HOUR = 3_600_000_000


def digest_of(content: object) -> Digest:
    return Digest(sha256(str(content).encode()).hexdigest())


@frozen
class Acts:
    """What people do, in one store."""

    store: Store

    @property
    def project(self) -> ProjectRow:
        return directory.project(self.store.views, "local", "uncategorized")

    def registry(self, name: str = "model") -> RegistryRow:
        return directory.registry(self.store.views, "local", name)

    def artifact(self, name: str) -> ArtifactRow:
        return catalog.artifact_named(self.store.views, self.project, name)

    def log(self, name: str, content: object, *, run: RunId | None = None, **said: Any) -> Logged:
        digest = digest_of(content)
        draft = Draft(name=name, type="model", digest=digest, manifest=digest, size=1, entries=1, **said)
        return log(self.store, self.project, draft, run_id=run)

    def find(self, text: str, at: int | None = None) -> Found:
        address = names.parse(text, entity="local", project="uncategorized", organisation="local")
        return catalog.find(self.store.views, address, at)

    def link(self, text: str, target: str, *aliases: str) -> Found:
        address = names.parse(target, entity="local", project="uncategorized", organisation="local")
        return link_artifact.link(self.store, self.find(text), address, aliases)

    def edit(self, text: str, **edits: Any) -> None:
        lifecycle.edit(self.store, self.find(text), Edits(**edits))


def story(store: Store, personal: str = "") -> None:
    """Let nearly everything happen once; *personal* begins every value that belongs into the vault."""
    acts = Acts(store)
    run = runs.start(
        store, acts.project, runs.RunDraft("r1", "first", notes=f"{personal} notes", config={"c": f"{personal} config"})
    )
    runs.edit(store, run, runs.RunDraft("r1", "renamed", notes=f"{personal} other notes"))
    runs.change_config(store, run, {"c": f"{personal} other config"})
    runs.log_rows(store, run, [{"loss": f"{personal} row"}], 1)
    run_id = RunId(run.run_id)
    for number in range(4):
        acts.log(
            "model",
            number,
            run=run_id,
            aliases=(f"a{number}", "best"),
            tags=("gold",),
            description=f"{personal} description {number}",
            metadata={"who": f"{personal} metadata", "number": number},
        )
    runs.use(store, acts.find("model:v0").version.version_id, run_id)
    runs.downloaded(store, acts.find("model:v1").version.version_id, entries=1, size=1)
    runs.finish(store, run, summary={"s": f"{personal} summary"})
    _later(acts, personal)
    _in_registries(acts, personal)
    with pytest.raises(VersionHeldError):
        lifecycle.delete(store, acts.find("model:v3"), reason=f"{personal} reason")
    _people(acts, personal)
    _disposals(acts)
    _evidence(acts, personal)
    _reports(acts, personal)


def _later(acts: Acts, personal: str) -> None:
    store = acts.store
    acts.edit("model:v1", metadata={"m": f"{personal} later"}, new_metadata=True, remove_tags=("gold",))
    acts.edit("model:v1", description=f"{personal} later", new_description=True, ttl=Ttl.after(HOUR))
    acts.edit("model:v0", add_aliases=("latest", "best"))
    acts.edit("model:v0", remove_aliases=("latest",))
    team = acts.find("model:v0").team
    lifecycle.edit_artifact(store, acts.artifact("model"), team, description=f"{personal} about", tags=["t"])
    lifecycle.set_artifact_ttl(store, acts.artifact("model"), team, Ttl.after(HOUR))
    found = acts.find("model:v2")
    lifecycle.delete(store, found, delete_aliases=True, reason=f"{personal} reason")
    lifecycle.restore(store, found)
    reason = store.keep(found.artifact.artifact_id, reason=f"{personal} erased")["reason"]
    store.transact(
        Request("erase entry"),
        lambda steps: (
            steps.step(versions.VERSION, found.version.version_id, versions.erase_entry, new_id(), "a/b.txt", reason)
            and None
        ),
    )
    acts.log("other", "x", sources=(found.version.version_id,))
    lifecycle.edit_artifact(store, acts.artifact("other"), team, name="renamed")
    lifecycle.delete_artifact(store, acts.artifact("renamed"), team, reason=f"{personal} reason")


def _in_registries(acts: Acts, personal: str) -> None:
    store = acts.store
    registries.create(store, "local", "games", description=f"{personal} games")
    registries.describe(store, acts.registry("games"), f"{personal} other games")
    registries.rename(store, acts.registry("games"), "play")
    registries.protect(store, acts.registry("play"), ["prod"])
    acts.link("model:v0", "wandb-registry-play/chess", "prod")
    acts.link("model:v3", "wandb-registry-play/chess", "prod", "extra")
    collection = catalog.collection_named(store.views, acts.registry("play"), "chess")
    registries.edit_collection(store, collection, description=f"{personal} chess", tags=["t"], name="go")
    link_artifact.unlink(store, acts.find("wandb-registry-play/go:v0"))
    acts.link("model:v0", "wandb-registry-play/go")
    ended = acts.link("model:v0", "wandb-registry-play/ended").collection
    assert ended is not None
    registries.delete_collection(store, ended)


def _people(acts: Acts, personal: str) -> None:
    directory.create_team(acts.store, "vision")
    directory.rename_team(acts.store, "vision", "sight")
    directory.principal(acts.store, f"{personal}eve")


def _evidence(acts: Acts, personal: str) -> None:
    store = acts.store
    found = acts.find("model:v1")
    held = holds.place(store, HoldKind.LITIGATION, ScopeKind.ARTIFACT, found.artifact.artifact_id, f"{personal} matter")
    holds.place(store, HoldKind.REGULATORY, ScopeKind.TAG, "", f"{personal} other matter", tag="gold")
    approvals.propose(store, Act.RELEASE_HOLD, held.hold_id, f"{personal} reason")
    scope = ScopeKind.TYPE, found.project.project_id
    policies.set_policy(store, *scope, Terms(minimum=HOUR), type_="model", citation="HGB 257")
    subject, asked, version_id = new_id(), new_id(), found.version.version_id
    identity = store.keep(subject, identity=f"{personal} identity")["identity"]
    text = store.keep(asked, text=f"{personal} text")["text"]
    store.transact(
        Request("register"),
        lambda steps: (
            [
                steps.step(data_subject.DATA_SUBJECT, subject, decision, *arguments) and None
                for decision, *arguments in (
                    (data_subject.register_subject, identity),
                    (data_subject.attach_subject, data_subject.TargetKind.VERSION, version_id),
                    (data_subject.attach_entries, version_id, ((new_id(), "a/b.txt"), (new_id(), "a/c.txt"))),
                )
            ]
            and steps.step(
                request.REQUEST, asked, request.receive_request, request.Right.ERASURE, subject, steps.now, text
            )
            and None
        ),
    )


def _disposals(acts: Acts) -> None:
    store = acts.store
    gone = acts.log("model", "to be purged")
    lifecycle.delete(store, acts.find(f"model:v{gone.index}"), delete_aliases=True)
    shown = Evidence(new_id(), Method.DELETED, (Check.MEMORY,), 1, 1, 1, 1)
    loose = Evidence(new_id(), Method.DELETED, (Check.MEMORY,), 1, 1, 1)
    stuck = (residuals.Stuck(digest_of("stuck"), None, 1, ""),)

    def let_go(steps: Steps) -> None:
        steps.step(versions.VERSION, gone.version_id, versions.let_go_in_time, 1, 2)

    def purge(steps: Steps) -> None:
        steps.step(versions.VERSION, gone.version_id, versions.purge, [("s3://bucket", shown)])
        residuals.leave(steps, shown.disposal_id, "s3://bucket", stuck)
        event = disposal.Disposed(Trigger.LEFTOVER, loose, "s3://bucket")
        steps.step(disposal.DISPOSAL, loose.disposal_id, disposal.record_disposal, event)

    store.transact(Request("let go"), let_go)
    store.transact(Request("purge"), purge)


def _reports(acts: Acts, personal: str) -> None:
    store = acts.store
    activities.declare(
        store,
        ScopeKind.PROJECT,
        acts.project.project_id,
        name="faces",
        purpose="research",
        legal_basis=LegalBasis.CONSENT,
        contacts=f"{personal} contacts",
    )
    head, made = store.ledger.head(), new_id()
    reason = store.keep(made, reason=f"{personal} reason")["reason"]
    assert reason is not None
    shown = report.ValuesRevealed(head.size, "audit-trail", reason)
    generated = report.ReportGenerated(head.size, Digest(head.root.hex()), "audit-trail", digest_of("report"))

    def decide(steps: Steps) -> None:
        steps.step(report.REPORT, made, report.reveal, shown)
        steps.step(report.REPORT, made, report.generate, generated)

    store.transact(Request("report"), decide)
