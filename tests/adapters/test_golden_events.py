"""The bytes of every event, pinned: what was written once is read for ever, and another form needs another name."""

from __future__ import annotations

from typing import Any, Final

import pytest

from muniment.adapters.ledger.codec import WIRE_NAMES, Codec, Written
from muniment.domain import (
    alias,
    approval,
    artifact,
    collection,
    data_subject,
    disposal,
    hold,
    organisation,
    policy,
    principal,
    processing,
    project,
    redaction,
    registry,
    report,
    request,
    run,
    team,
    version,
)
from muniment.domain.evidence import Check, Evidence, Method, Trigger
from muniment.domain.values import NEVER, Personal, Role, SlotId, Ttl

ID: Final = {letter: letter * 32 for letter in "abcdef0123456789"}
A: Any = ID["a"]
B: Any = ID["b"]
C: Any = ID["c"]
S: Final[Personal[Any]] = Personal(SlotId(ID["5"]), "c" * 64)
SLOT: Final = '{"commit":"' + "c" * 64 + '","slot":"' + "5" * 32 + '"}'
D1: Any = "1" * 64
D2: Any = "2" * 64
ADMIN: Final = Role.ADMIN
SHOWN: Final = Evidence(A, Method.REWRITTEN, (Check.VERSIONS, Check.FOOTERS), 7, 8192, 9, 1)
SHOWN_TEXT: Final = (
    '{"blobs":7,"copies":9,"disposal_id":"' + A + '","method":"pack-rewritten","residual":1,"size":8192,'
    '"verified_by":["versions","footers"]}'
)

GOLDEN: Final[dict[str, tuple[Any, str, str | None]]] = {
    "activity.declared.1": (
        processing.ActivityDeclared(
            scope=hold.ScopeKind.PROJECT,
            target=A,
            part=processing.Part.CONTROLLER,
            special=False,
            name="faces",
            purpose="research",
            legal_basis=processing.LegalBasis.CONSENT,
            recipients="none",
            contacts=S,
        ),
        '{"contacts":'
        + SLOT
        + ',"legal_basis":"6(1)(a)","part":"controller","scope":"project","special":false,"target":"'
        + A
        + '"}',
        '{"name":"faces","purpose":"research","recipients":"none"}',
    ),
    "activity.ended.1": (processing.ActivityEnded(), "{}", None),
    "alias.latest-moved.1": (alias.LatestMoved(A), '{"to":"' + A + '"}', None),
    "alias.latest-removed.1": (alias.LatestRemoved(A), '{"before":"' + A + '"}', None),
    "alias.moved.1": (alias.AliasMoved(A, None, "production"), '{"to":"' + A + '"}', '{"alias":"production"}'),
    "alias.removed.1": (alias.AliasRemoved(A), '{"before":"' + A + '"}', None),
    "approval.approved.1": (approval.Approved((B, C)), '{"by":["' + B + '","' + C + '"]}', None),
    "approval.carried-out.1": (approval.CarriedOut(), "{}", None),
    "approval.proposed.1": (
        approval.Proposed(approval.Act.RELEASE_HOLD, A, (B,), 7, S),
        '{"act":"release-hold","by":["' + B + '"],"expires_at":7,"reason":' + SLOT + ',"target":"' + A + '"}',
        None,
    ),
    "approval.withdrawn.1": (approval.Withdrawn(), "{}", None),
    "artifact.created.1": (
        artifact.ArtifactCreated(A, "net", "model", S),
        '{"description":' + SLOT + ',"project_id":"' + A + '"}',
        '{"name":"net","type":"model"}',
    ),
    "artifact.deleted.1": (artifact.ArtifactDeleted(S), '{"reason":' + SLOT + "}", None),
    "artifact.described.1": (artifact.ArtifactDescribed(S), '{"description":' + SLOT + "}", None),
    "artifact.renamed.1": (artifact.ArtifactRenamed("net-2"), "{}", '{"name":"net-2"}'),
    "artifact.tagged.1": (artifact.ArtifactTagged(A, "gold"), '{"tag_id":"' + A + '"}', '{"tag":"gold"}'),
    "artifact.ttl-set.1": (
        artifact.ArtifactTtlSet(Ttl.after(500_000)),
        '{"ttl":{"micros":500000,"rule":"after"}}',
        None,
    ),
    "artifact.type-changed.1": (artifact.TypeChanged("dataset"), "{}", '{"type":"dataset"}'),
    "artifact.untagged.1": (artifact.ArtifactUntagged(A), '{"tag_id":"' + A + '"}', None),
    "collection.created.1": (
        collection.CollectionCreated(A, "nets", "model", S),
        '{"description":' + SLOT + ',"registry_id":"' + A + '"}',
        '{"name":"nets","type":"model"}',
    ),
    "collection.deleted.1": (collection.CollectionDeleted(), "{}", None),
    "collection.described.1": (collection.CollectionDescribed(None), "{}", None),
    "collection.linked.1": (
        collection.Linked(A, B, C),
        '{"artifact_id":"' + C + '","link_id":"' + A + '","version_id":"' + B + '"}',
        None,
    ),
    "collection.renamed.1": (collection.CollectionRenamed("grids \u2603"), "{}", '{"name":"grids \u2603"}'),
    "collection.tagged.1": (collection.CollectionTagged(A, "gold"), '{"tag_id":"' + A + '"}', '{"tag":"gold"}'),
    "collection.unlinked.1": (
        collection.Unlinked(A, B),
        '{"collection_id":"' + A + '","version_id":"' + B + '"}',
        None,
    ),
    "collection.untagged.1": (collection.CollectionUntagged(A), '{"tag_id":"' + A + '"}', None),
    "data-subject.attached.1": (
        data_subject.SubjectAttached(data_subject.TargetKind.VERSION, A),
        '{"kind":"version","target":"' + A + '"}',
        None,
    ),
    "data-subject.detached.1": (
        data_subject.SubjectDetached(data_subject.TargetKind.ARTIFACT, A),
        '{"kind":"artifact","target":"' + A + '"}',
        None,
    ),
    "data-subject.entries-attached.1": (
        data_subject.EntriesAttached(A, (B, C), ("b.png", "c.png")),
        '{"entry_ids":["' + B + '","' + C + '"],"version_id":"' + A + '"}',
        '{"paths":["b.png","c.png"]}',
    ),
    "data-subject.entries-detached.1": (
        data_subject.EntriesDetached(A, (B,)),
        '{"entry_ids":["' + B + '"],"version_id":"' + A + '"}',
        None,
    ),
    "data-subject.erased.1": (data_subject.SubjectErased(A), '{"request_id":"' + A + '"}', None),
    "data-subject.fence-lifted.1": (data_subject.FenceLifted(A), '{"request_id":"' + A + '"}', None),
    "data-subject.fenced.1": (data_subject.SubjectFenced(A), '{"request_id":"' + A + '"}', None),
    "data-subject.registered.1": (data_subject.SubjectRegistered(S), '{"identity":' + SLOT + "}", None),
    "disposal.copies-left.1": (
        disposal.CopiesLeft(A, disposal.Hindrance.LEGAL_HOLD, 7, "s3://bucket", (D1, D2), 3),
        '{"copies":3,"disposal_id":"' + A + '","ends_at":7,"why":"legal-hold"}',
        '{"digests":["' + D1 + '","' + D2 + '"],"place":"s3://bucket"}',
    ),
    "disposal.disposed.1": (
        disposal.Disposed(Trigger.ERASURE, SHOWN, "s3://bucket", A, B),
        '{"evidence":' + SHOWN_TEXT + ',"owner_id":"' + A + '","request_id":"' + B + '","trigger":"erasure"}',
        '{"place":"s3://bucket"}',
    ),
    "disposal.purge-parked.1": (disposal.PurgeParked(7), '{"due":7}', None),
    "disposal.residual-ended.1": (disposal.ResidualEnded(disposal.Ending.GONE), '{"ending":"gone"}', None),
    "hold.placed.1": (
        hold.HoldPlaced(hold.HoldKind.LITIGATION, hold.ScopeKind.TAG, A, S, "case", 7),
        '{"kind":"litigation","matter":' + SLOT + ',"review_by":7,"scope":"tag","target":"' + A + '"}',
        '{"tag":"case"}',
    ),
    "hold.released.1": (hold.HoldReleased(S), '{"reason":' + SLOT + "}", None),
    "hold.reviewed.1": (hold.HoldReviewed(7), '{"review_by":7}', None),
    "organisation.created.1": (organisation.OrganisationCreated("acme"), "{}", '{"name":"acme"}'),
    "organisation.renamed.1": (organisation.OrganisationRenamed('a"c\\me\n'), "{}", '{"name":"a\\"c\\\\me\\n"}'),
    "organisation.role-set.1": (
        organisation.OrganisationRoleSet(A, ADMIN),
        '{"principal_id":"' + A + '","role":"admin"}',
        None,
    ),
    "policy.removed.1": (policy.PolicyRemoved(), "{}", None),
    "policy.set.1": (
        policy.PolicySet(
            hold.ScopeKind.TYPE,
            A,
            policy.Terms(policy.Start.LAST_USED, 5, 7, policy.Ending.REVIEW, 3),
            statutory=True,
            type="model",
            citation="law",
        ),
        '{"scope":"type","statutory":true,"target":"'
        + A
        + '","terms":{"ending":"review","keep_last":3,"maximum":7,"minimum":5,'
        '"start":"last-used"}}',
        '{"citation":"law","type":"model"}',
    ),
    "principal.created.1": (
        principal.PrincipalCreated(principal.PrincipalKind.HUMAN, S),
        '{"kind":"human","login":' + SLOT + "}",
        None,
    ),
    "principal.denied.1": (
        principal.Denied("PermissionDeniedError", A),
        '{"rule":"PermissionDeniedError","target":"' + A + '"}',
        None,
    ),
    "principal.version-downloaded.1": (
        principal.VersionDownloaded(A, 3, 4096),
        '{"entries":3,"size":4096,"version_id":"' + A + '"}',
        None,
    ),
    "principal.version-used.1": (principal.VersionUsed(A), '{"version_id":"' + A + '"}', None),
    "project.created.1": (project.ProjectCreated(A, "digits"), '{"team_id":"' + A + '"}', '{"name":"digits"}'),
    "project.deleted.1": (project.ProjectDeleted(), "{}", None),
    "project.renamed.1": (project.ProjectRenamed("numbers"), "{}", '{"name":"numbers"}'),
    "redaction.redacted.1": (
        redaction.EventsRedacted((7, 9), ("c" * 64, "d" * 64), A),
        '{"commits":["' + "c" * 64 + '","' + "d" * 64 + '"],"request_id":"' + A + '","seqs":[7,9]}',
        None,
    ),
    "registry.all-types-accepted.1": (registry.AllTypesAccepted(), "{}", None),
    "registry.created.1": (
        registry.RegistryCreated(
            A, "nets", core=False, visibility=registry.Visibility.RESTRICTED, types=("model",), description=S
        ),
        '{"all_types":false,"core":false,"description":'
        + SLOT
        + ',"organisation_id":"'
        + A
        + '","visibility":"restricted"}',
        '{"name":"nets","types":["model"]}',
    ),
    "registry.deleted.1": (registry.RegistryDeleted(), "{}", None),
    "registry.described.1": (registry.RegistryDescribed(S), '{"description":' + SLOT + "}", None),
    "registry.protected-aliases-set.1": (
        registry.ProtectedAliasesSet(("production",), ()),
        "{}",
        '{"added":["production"],"removed":[]}',
    ),
    "registry.renamed.1": (registry.RegistryRenamed("grids"), "{}", '{"name":"grids"}'),
    "registry.role-set.1": (
        registry.MemberRoleSet(A, registry.MemberKind.TEAM, None),
        '{"kind":"team","member_id":"' + A + '"}',
        None,
    ),
    "registry.types-added.1": (
        registry.AcceptedTypesAdded(("dataset", "model")),
        "{}",
        '{"types":["dataset","model"]}',
    ),
    "registry.visibility-changed.1": (
        registry.VisibilityChanged(registry.Visibility.RESTRICTED),
        '{"visibility":"restricted"}',
        None,
    ),
    "report.generated.1": (
        report.ReportGenerated(7, D1, "audit-trail", D2),
        '{"root":"' + D1 + '","size":7}',
        '{"manifest":"' + D2 + '","report":"audit-trail"}',
    ),
    "report.values-revealed.1": (
        report.ValuesRevealed(7, "audit-trail", S),
        '{"reason":' + SLOT + ',"size":7}',
        '{"report":"audit-trail"}',
    ),
    "request.certified.1": (
        request.CertificateIssued(A, B, S),
        '{"certificate_id":"' + A + '","content":' + SLOT + ',"sealed":"' + B + '"}',
        None,
    ),
    "request.closed.1": (request.RequestClosed(), "{}", None),
    "request.decided.1": (
        request.RequestDecided(request.Verdict.PARTIAL, request.Exemption.CLAIMS, S, (A,)),
        '{"exemption":"17(3)(e)","ground":' + SLOT + ',"kept":["' + A + '"],"verdict":"partial"}',
        None,
    ),
    "request.executed.1": (request.RequestExecuted(3, 2, 1), '{"erased":3,"kept":2,"residual":1}', None),
    "request.extended.1": (request.RequestExtended(7, S), '{"due_at":7,"reason":' + SLOT + "}", None),
    "request.fenced.1": (request.ErasureFenced(), "{}", None),
    "request.identified.1": (request.IdentityConfirmed(S), '{"how":' + SLOT + "}", None),
    "request.received.1": (
        request.RequestReceived(request.Right.ERASURE, A, 5, 7),
        '{"due_at":7,"received_at":5,"right":"erasure","subject_id":"' + A + '"}',
        None,
    ),
    "request.reopened.1": (request.RequestReopened(1), '{"findings":1}', None),
    "request.scoped.1": (
        request.RequestScoped(9, 3, 2, 1),
        '{"derived":2,"found":3,"size":9,"untagged":1}',
        None,
    ),
    "request.verified.1": (request.ErasureVerified(0, 9), '{"findings":0,"scanned":9}', None),
    "run.config-changed.1": (run.ConfigChanged(S), '{"config":' + SLOT + "}", None),
    "run.deleted.1": (run.RunDeleted(), "{}", None),
    "run.edited.1": (
        run.RunEdited("fox-1", "train", "sweep", ("a", "b"), S),
        '{"notes":' + SLOT + "}",
        '{"group":"sweep","job_type":"train","name":"fox-1","tags":["a","b"]}',
    ),
    "run.finished.1": (
        run.RunFinished(run.RunState.FAILED, -9, 1_500_000, S),
        '{"exit_code":-9,"state":"failed","summary":' + SLOT + ',"took":1500000}',
        None,
    ),
    "run.input-used.1": (run.InputUsed(A), '{"version_id":"' + A + '"}', None),
    "run.logged.1": (run.RunLogged(10, 9, S), '{"last_step":9,"rows":10,"values":' + SLOT + "}", None),
    "run.output-logged.1": (run.OutputLogged(A, created=True), '{"created":true,"version_id":"' + A + '"}', None),
    "run.resumed.1": (run.RunResumed(), "{}", None),
    "run.started.1": (
        run.RunStarted(A, "x7k", "fox-1", None, None, (), None, S),
        '{"config":' + SLOT + ',"project_id":"' + A + '"}',
        '{"key":"x7k","name":"fox-1","tags":[]}',
    ),
    "team.created.1": (team.TeamCreated(A, "vision"), '{"organisation_id":"' + A + '"}', '{"name":"vision"}'),
    "team.renamed.1": (team.TeamRenamed("sight"), "{}", '{"name":"sight"}'),
    "team.role-set.1": (
        team.TeamRoleSet(A, Role.RESTRICTED_VIEWER),
        '{"principal_id":"' + A + '","role":"restricted_viewer"}',
        None,
    ),
    "team.storage-gathered.1": (team.StorageGathered(), "{}", None),
    "team.storage-set.1": (team.StorageSet("file:///srv/vision"), "{}", '{"store":"file:///srv/vision"}'),
    "team.ttl-policy-set.1": (
        team.TtlPolicySet(team.TtlSetters.ADMINS, 86_400_000_000),
        '{"default":86400000000,"setters":"admins"}',
        None,
    ),
    "version.created.1": (
        artifact.VersionCreated(A, D1, D2, 4096, 2, B, NEVER, S, S, C, (C,)),
        '{"base":"'
        + C
        + '","description":'
        + SLOT
        + ',"entries":2,"metadata":'
        + SLOT
        + ',"run_id":"'
        + B
        + '","size":4096,"sources":["'
        + C
        + '"],"ttl":{"micros":null,"rule":"never"},"version_id":"'
        + A
        + '"}',
        '{"digest":"' + D1 + '","manifest":"' + D2 + '"}',
    ),
    "version.deleted.1": (version.MarkedDeleted(version.Cause.EXPIRED, None), '{"cause":"expired"}', None),
    "version.described.1": (version.VersionDescribed(S), '{"description":' + SLOT + "}", None),
    "version.entry-erased.1": (
        version.EntryErased(A, "faces/0001.png", S),
        '{"entry_id":"' + A + '","reason":' + SLOT + "}",
        '{"path":"faces/0001.png"}',
    ),
    "version.manifest-replaced.1": (
        version.ManifestReplaced(A, D1, D2, 4096, 3, 2),
        '{"entries":3,"erased":2,"request_id":"' + A + '","size":4096}',
        '{"digest":"' + D1 + '","manifest":"' + D2 + '"}',
    ),
    "version.metadata-changed.1": (version.MetadataChanged(S), '{"metadata":' + SLOT + "}", None),
    "version.let-go.1": (
        version.LetGo(Trigger.DELETED, 1, 2, A),
        '{"due_at":2,"marked_at":1,"request_id":"' + A + '","trigger":"deleted"}',
        None,
    ),
    "version.purged.2": (
        version.Purged(7, 8192, (SHOWN,), ("s3://bucket",), Trigger.EXPIRED, 1, 2, A),
        '{"blobs":7,"due_at":2,"evidence":[' + SHOWN_TEXT + '],"marked_at":1,"request_id":"' + A + '","size":8192,'
        '"trigger":"expired"}',
        '{"places":["s3://bucket"]}',
    ),
    "version.restored.1": (version.Restored(), "{}", None),
    "version.tagged.1": (version.Tagged(A, "gold"), '{"tag_id":"' + A + '"}', '{"tag":"gold"}'),
    "version.ttl-set.1": (version.TtlSet(NEVER), '{"ttl":{"micros":null,"rule":"never"}}', None),
    "version.untagged.1": (version.Untagged(A), '{"tag_id":"' + A + '"}', None),
}
"""Each wire name with an event, its facts and its words; ``None`` where an event never holds words."""


def test_every_wire_name_is_pinned() -> None:
    assert GOLDEN.keys() == WIRE_NAMES.keys()


@pytest.mark.parametrize("name", GOLDEN)
def test_the_bytes_of_an_event_are_what_they_always_were(name: str) -> None:
    event, facts, words = GOLDEN[name]
    assert Codec().encode(event) == Written(name, facts.encode(), None if words is None else words.encode())


@pytest.mark.parametrize("name", GOLDEN)
def test_the_bytes_that_always_were_are_read_as_ever(name: str) -> None:
    event, facts, words = GOLDEN[name]
    assert Codec().decode(name, facts.encode(), None if words is None else words.encode()) == event


def test_a_purge_of_a_time_without_evidence_is_read_as_one_that_has_none() -> None:
    assert Codec().decode("version.purged.1", b'{"blobs":7,"size":8192}', None) == version.Purged(7, 8192)
