"""An organisation: begun under a free name, with members who each have one role."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from muniment.domain.errors import InvalidValueError, NameTakenError, NotFoundError
from muniment.domain.organisation import (
    ORGANISATION,
    Organisation,
    OrganisationCreated,
    OrganisationRenamed,
    OrganisationRoleSet,
    create_organisation,
    rename_organisation,
    set_organisation_role,
)
from muniment.domain.values import ERASED, OrganisationId, PrincipalId, Role
from tests.decisions import Act, act, attempt, happen
from tests.spec import Spec

OTHER, ANN, BOB = OrganisationId("other"), PrincipalId("ann"), PrincipalId("bob")
BEGUN = OrganisationCreated("acme")
organisation = Spec(ORGANISATION)


def test_an_organisation_lives_as_its_story_tells() -> None:
    story = (
        BEGUN,
        OrganisationRenamed("apex"),
        OrganisationRoleSet(ANN, Role.MEMBER),
        OrganisationRoleSet(BOB, Role.VIEWER),
        OrganisationRoleSet(ANN, Role.ADMIN),
        OrganisationRoleSet(BOB, None),
    )
    assert organisation.given(*story).state == Organisation("apex", ((ANN, Role.ADMIN),))


def test_an_organisation_begins_once_under_a_free_name() -> None:
    organisation.when(create_organisation, "acme").then(BEGUN)
    organisation.given(BEGUN).when(create_organisation, "acme").then_nothing()
    organisation.given(OrganisationCreated(ERASED)).when(create_organisation, "acme").then_nothing()
    refused = organisation.when(create_organisation, "acme", OTHER)
    refused.then_raises(NameTakenError, "there is an organisation acme")


def test_an_organisation_is_renamed_to_a_free_name() -> None:
    organisation.given(BEGUN).when(rename_organisation, "apex").then(OrganisationRenamed("apex"))
    organisation.given(BEGUN).when(rename_organisation, "acme", OTHER).then_nothing()
    refused = organisation.given(BEGUN).when(rename_organisation, "apex", OTHER)
    refused.then_raises(NameTakenError, "there is an organisation apex")
    erased = organisation.given(OrganisationCreated(ERASED))
    erased.when(rename_organisation, "apex").then(OrganisationRenamed("apex"))


def test_a_member_gets_a_role_another_one_and_none() -> None:
    member = OrganisationRoleSet(ANN, Role.MEMBER)
    organisation.given(BEGUN).when(set_organisation_role, ANN, Role.MEMBER).then(member)
    organisation.given(BEGUN, member).when(set_organisation_role, ANN, Role.MEMBER).then_nothing()
    gone = organisation.given(BEGUN, member).when(set_organisation_role, ANN, None)
    assert gone.then(OrganisationRoleSet(ANN, None)).members == ()
    organisation.given(BEGUN).when(set_organisation_role, ANN, None).then_nothing()


def test_an_organisation_keeps_an_admin() -> None:
    ann, bob = OrganisationRoleSet(ANN, Role.ADMIN), OrganisationRoleSet(BOB, Role.ADMIN)
    for role in (None, Role.VIEWER, Role.MEMBER):
        for others in ((), (OrganisationRoleSet(BOB, Role.MEMBER),), (bob, OrganisationRoleSet(BOB, None))):
            refused = organisation.given(BEGUN, ann, *others).when(set_organisation_role, ANN, role)
            refused.then_raises(InvalidValueError, "an organisation needs an admin — make somebody else its admin")
        both = organisation.given(BEGUN, ann, bob).when(set_organisation_role, ANN, role)
        both.then(OrganisationRoleSet(ANN, role))
    organisation.given(BEGUN, ann).when(set_organisation_role, ANN, Role.ADMIN).then_nothing()
    organisation.given(BEGUN, ann).when(set_organisation_role, BOB, None).then_nothing()


def test_an_organisation_that_never_began_cannot_be_changed() -> None:
    organisation.when(rename_organisation, "apex").then_raises(NotFoundError, "there is no such organisation")
    organisation.when(set_organisation_role, ANN, None).then_raises(NotFoundError, "there is no such organisation")


names, people, roles = st.sampled_from(["a", "b"]), st.sampled_from([ANN, BOB]), st.none() | st.sampled_from(Role)
acts = st.one_of(
    act(create_organisation, names), act(rename_organisation, names), act(set_organisation_role, people, roles)
)


@given(st.lists(acts, max_size=12))
def test_any_decision_taken_again_changes_nothing_and_nobody_has_two_roles(wanted: list[Act]) -> None:
    state, said = ORGANISATION.initial, {}
    for each in wanted:
        decided = attempt(state, each)
        had_admin = Role.ADMIN in dict(state.members).values()
        state = happen(ORGANISATION, state, decided)
        assert attempt(state, each) == []
        if each.decision is set_organisation_role and decided:
            said[each.arguments[0]] = each.arguments[1]
        assert len(dict(state.members)) == len(state.members)
        assert dict(state.members) == {member: role for member, role in said.items() if role is not None}
        assert not had_admin or Role.ADMIN in dict(state.members).values()
