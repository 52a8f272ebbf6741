"""A principal becomes known once; what it accessed and was denied needs no state."""

from __future__ import annotations

from muniment.domain.principal import (
    ACCESS,
    PRINCIPAL,
    Access,
    Denied,
    Principal,
    PrincipalCreated,
    PrincipalKind,
    VersionDownloaded,
    VersionUsed,
    access_stream,
    create_principal,
)
from muniment.domain.values import Audit, Personal, PrincipalId, SlotId, VersionId, owner_of
from tests.spec import Spec

LOGIN: Personal[str] = Personal(SlotId("slot"), "commit")
BEGUN = PrincipalCreated(PrincipalKind.HUMAN, LOGIN)
V, ANN = VersionId("v"), PrincipalId("ann")
principal = Spec(PRINCIPAL)


def test_somebody_becomes_known_once() -> None:
    assert principal.when(create_principal, BEGUN).then(BEGUN) == Principal(created=True)
    principal.given(BEGUN).when(create_principal, BEGUN).then_nothing()
    principal.given(BEGUN).when(create_principal, PrincipalCreated(PrincipalKind.SYSTEM, LOGIN)).then_nothing()


def test_what_was_accessed_needs_no_state() -> None:
    assert ACCESS.fold([Denied("PermissionDeniedError", V), VersionUsed(V), VersionDownloaded(V, 3, 9)]) == Access()


def test_access_is_a_class_of_its_own_and_a_denied_act_is_a_matter_of_security() -> None:
    assert VersionUsed.audit is VersionDownloaded.audit is Audit.ACCESS
    assert Denied.audit is PrincipalCreated.audit is Audit.SECURITY


def test_access_is_a_stream_beside_the_principal() -> None:
    assert access_stream(ANN) == "ann:x"
    assert owner_of(access_stream(ANN)) == ANN
