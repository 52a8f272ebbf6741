"""A registry: whose types only grow, whose members have roles, and of which two are the core of an organisation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muniment.domain.errors import NameTakenError, NotFoundError, PermissionDeniedError, RuleError, TypeRefusedError
from muniment.domain.registry import (
    CORE,
    REGISTRY,
    AcceptedTypesAdded,
    AllTypesAccepted,
    MemberKind,
    MemberRoleSet,
    ProtectedAliasesSet,
    Registry,
    RegistryCreated,
    RegistryDeleted,
    RegistryDescribed,
    RegistryRenamed,
    Visibility,
    VisibilityChanged,
    accept_all_types,
    accept_types,
    change_visibility,
    create_registry,
    delete_registry,
    describe_registry,
    rename_registry,
    require_reader,
    require_role,
    require_type,
    set_member_role,
    set_protected_aliases,
)
from muniment.domain.values import ERASED, OrganisationId, Personal, RegistryId, Role, SlotId
from tests.decisions import Act, act, attempt, happen
from tests.spec import Spec

ORG, OTHER = OrganisationId("o"), RegistryId("other")
OPEN, RESTRICTED = Visibility.ORGANISATION, Visibility.RESTRICTED
PRINCIPAL, TEAM = MemberKind.PRINCIPAL, MemberKind.TEAM
TEXT: Personal[str] = Personal(SlotId("slot"), "commit")
MODELS = RegistryCreated(ORG, "model", core=True, visibility=OPEN, types=CORE["model"])
NETS = RegistryCreated(ORG, "nets", core=False, visibility=OPEN, types=("model",))
ALL = RegistryCreated(ORG, "all", core=False, visibility=OPEN, all_types=True)
registry = Spec(REGISTRY)


def test_a_registry_lives_as_its_story_tells() -> None:
    story = (
        NETS,
        RegistryRenamed("grids"),
        RegistryDescribed(TEXT),
        VisibilityChanged(RESTRICTED),
        AcceptedTypesAdded(("dataset",)),
        MemberRoleSet("ann", PRINCIPAL, Role.MEMBER),
        MemberRoleSet("vision", TEAM, Role.VIEWER),
        MemberRoleSet("ann", PRINCIPAL, Role.ADMIN),
        MemberRoleSet("vision", TEAM, None),
        ProtectedAliasesSet(("production", "staging"), ()),
        ProtectedAliasesSet(("best",), ("staging",)),
    )
    assert registry.given(*story).state == Registry(
        organisation_id=ORG,
        name="grids",
        visibility=RESTRICTED,
        types=frozenset({"model", "dataset"}),
        description=TEXT,
        members=(("ann", Role.ADMIN),),
        protected=frozenset({"production", "best"}),
    )
    assert registry.given(*story, AllTypesAccepted()).state.all_types
    assert registry.given(*story, RegistryDeleted()).state.deleted


# --- beginning, names, descriptions ----------------------------------------------------------------------------------


@pytest.mark.parametrize("created", [MODELS, NETS, ALL])
def test_a_registry_begins_once_under_a_free_name(created: RegistryCreated) -> None:
    registry.when(create_registry, created).then(created)
    registry.given(created).when(create_registry, created).then_nothing()
    refused = registry.when(create_registry, created, OTHER)
    refused.then_raises(NameTakenError, f"the organisation has a registry {created.name}")


def test_what_was_deleted_never_begins_again() -> None:
    registry.given(NETS, RegistryDeleted()).when(create_registry, NETS).then_nothing()


def test_the_core_registries_accept_models_and_datasets() -> None:
    assert CORE == {"model": ("model",), "dataset": ("dataset",)}


def test_a_custom_registry_is_renamed_to_a_free_name() -> None:
    registry.given(NETS).when(rename_registry, "grids").then(RegistryRenamed("grids"))
    registry.given(NETS).when(rename_registry, "nets", OTHER).then_nothing()
    refused = registry.given(NETS).when(rename_registry, "grids", OTHER)
    refused.then_raises(NameTakenError, "the organisation has a registry grids")


def test_the_description_of_a_custom_registry_is_set_and_taken_away() -> None:
    registry.given(NETS).when(describe_registry, TEXT).then(RegistryDescribed(TEXT))
    registry.given(NETS, RegistryDescribed(TEXT)).when(describe_registry, TEXT).then_nothing()
    registry.given(NETS, RegistryDescribed(TEXT)).when(describe_registry, None).then(RegistryDescribed(None))


FIXED: list[tuple[Callable[..., Any], tuple[Any, ...], str]] = [
    (rename_registry, ("models",), "renamed"),
    (describe_registry, (TEXT,), "described"),
    (change_visibility, (RESTRICTED,), "restricted"),
    (accept_all_types, (), "opened to all types"),
    (delete_registry, (), "deleted"),
]


@pytest.mark.parametrize(("decision", "arguments", "what"), FIXED, ids=lambda part: getattr(part, "__name__", ""))
def test_name_description_visibility_and_being_of_a_core_registry_are_fixed(
    decision: Callable[..., Any], arguments: tuple[Any, ...], what: str
) -> None:
    refused = registry.given(MODELS).when(decision, *arguments)
    refused.then_raises(RuleError, f"the core registry model cannot be {what}")


def test_asking_a_core_registry_for_what_is_so_already_is_nothing() -> None:
    registry.given(MODELS).when(rename_registry, "model").then_nothing()
    registry.given(MODELS).when(describe_registry, None).then_nothing()
    registry.given(MODELS).when(change_visibility, OPEN).then_nothing()


# --- who sees it, who may do what ------------------------------------------------------------------------------------


def test_a_registry_is_restricted_for_good() -> None:
    registry.given(NETS).when(change_visibility, RESTRICTED).then(VisibilityChanged(RESTRICTED))
    restricted = registry.given(NETS, VisibilityChanged(RESTRICTED))
    restricted.when(change_visibility, RESTRICTED).then_nothing()
    restricted.when(change_visibility, OPEN).then_raises(RuleError, "cannot be opened .* create another one")


def test_a_member_gets_a_role_another_one_and_none() -> None:
    ann = MemberRoleSet("ann", PRINCIPAL, Role.MEMBER)
    registry.given(NETS).when(set_member_role, "ann", PRINCIPAL, Role.MEMBER).then(ann)
    registry.given(NETS, ann).when(set_member_role, "ann", PRINCIPAL, Role.MEMBER).then_nothing()
    admin = MemberRoleSet("ann", PRINCIPAL, Role.ADMIN)
    registry.given(NETS, ann).when(set_member_role, "ann", PRINCIPAL, Role.ADMIN).then(admin)
    gone = MemberRoleSet("ann", PRINCIPAL, None)
    registry.given(NETS, ann).when(set_member_role, "ann", PRINCIPAL, None).then(gone)
    registry.given(NETS, ann, gone).when(set_member_role, "ann", PRINCIPAL, None).then_nothing()
    registry.given(MODELS).when(set_member_role, "vision", TEAM, Role.VIEWER).then(
        MemberRoleSet("vision", TEAM, Role.VIEWER)
    )


def test_protected_aliases_are_added_and_removed() -> None:
    both = frozenset({"production", "best"})
    added = ProtectedAliasesSet(("best", "production"), ())
    registry.given(NETS).when(set_protected_aliases, both).then(added)
    registry.given(NETS, added).when(set_protected_aliases, both).then_nothing()
    registry.given(NETS, added).when(set_protected_aliases, frozenset({"best", "gold"})).then(
        ProtectedAliasesSet(("gold",), ("production",))
    )


@pytest.mark.parametrize("needed", Role)
@pytest.mark.parametrize("actual", [None, *Role])
def test_a_role_allows_what_weaker_ones_do(actual: Role | None, needed: Role) -> None:
    order = ["restricted_viewer", "viewer", "member", "admin"]
    if actual is not None and order.index(actual.value) >= order.index(needed.value):
        require_role(actual, needed, "link")
        return
    has = f"your role is {actual.value}" if actual else "you are no member"
    with pytest.raises(PermissionDeniedError, match=f"only an? {needed.value} may link; {has} — ask an admin"):
        require_role(actual, needed, "link")


# --- accepted types --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("begun", [NETS, MODELS])
def test_more_types_are_accepted_in_order_and_once(begun: RegistryCreated) -> None:
    added = AcceptedTypesAdded(("dataset", "table"))
    registry.given(begun).when(accept_types, ("table", "model", "dataset", "table")).then(added)
    registry.given(begun, added).when(accept_types, ("table", "dataset")).then_nothing()
    registry.given(begun).when(accept_types, ()).then_nothing()


def test_a_registry_that_accepts_all_types_is_narrowed_on_request_only() -> None:
    refused = registry.given(ALL).when(accept_types, ("model",))
    refused.then_raises(RuleError, "accepts all types — set allow_all_artifact_types to False first")
    narrowed = AcceptedTypesAdded(("model",))
    state = registry.given(ALL).when(accept_types, ("model",), narrow=True).then(narrowed)
    assert (state.all_types, state.types) == (False, frozenset({"model"}))
    registry.given(ALL, narrowed).when(accept_types, ("model",), narrow=True).then_nothing()


def test_a_registry_is_not_narrowed_to_nothing() -> None:
    refused = registry.given(ALL).when(accept_types, (), narrow=True)
    refused.then_raises(RuleError, "accepts no type at all .* name at least one")


def test_a_registry_is_opened_to_all_types_once() -> None:
    registry.given(NETS).when(accept_all_types).then(AllTypesAccepted())
    registry.given(NETS, AllTypesAccepted()).when(accept_all_types).then_nothing()
    registry.given(ALL).when(accept_all_types).then_nothing()


def test_types_that_were_saved_are_accepted_after_opening_and_narrowing_too() -> None:
    opened = registry.given(NETS, AllTypesAccepted())
    state = opened.when(accept_types, ("dataset",), narrow=True).then(AcceptedTypesAdded(("dataset",)))
    assert state.types == {"model", "dataset"}
    state = opened.when(accept_types, (), narrow=True).then(AcceptedTypesAdded(()))
    assert (state.all_types, state.types) == (False, frozenset({"model"}))


def test_erased_types_are_no_types_but_all_types_stay_all() -> None:
    erased = RegistryCreated(ORG, ERASED, core=False, visibility=OPEN, types=ERASED)
    assert registry.given(erased).state.types == frozenset()
    everything = RegistryCreated(ORG, ERASED, core=False, visibility=OPEN, types=ERASED, all_types=True)
    assert registry.given(everything, ProtectedAliasesSet(ERASED, ERASED)).state.all_types


def test_a_type_that_is_not_accepted_is_refused() -> None:
    require_type(None, "table", "nets")
    require_type(frozenset({"table"}), "table", "nets")
    with pytest.raises(TypeRefusedError, match="registry nets accepts type dataset, model, not 'table'"):
        require_type(frozenset({"model", "dataset"}), "table", "nets")
    with pytest.raises(TypeRefusedError, match="registry nets accepts type nothing yet, not 'table'"):
        require_type(frozenset(), "table", "nets")


# --- the end ---------------------------------------------------------------------------------------------------------


def test_a_custom_registry_ends_once() -> None:
    registry.given(NETS).when(delete_registry).then(RegistryDeleted())
    registry.given(NETS, RegistryDeleted()).when(delete_registry).then_nothing()
    registry.when(delete_registry).then_nothing()


CHANGES: list[tuple[Callable[..., Any], tuple[Any, ...]]] = [
    (rename_registry, ("x",)),
    (describe_registry, (TEXT,)),
    (change_visibility, (RESTRICTED,)),
    (accept_types, (("x",),)),
    (accept_all_types, ()),
    (set_member_role, ("ann", PRINCIPAL, Role.ADMIN)),
    (set_protected_aliases, (frozenset({"x"}),)),
]


@pytest.mark.parametrize(("decision", "arguments"), CHANGES, ids=lambda part: getattr(part, "__name__", ""))
def test_what_was_deleted_or_never_began_cannot_be_changed(
    decision: Callable[..., Any], arguments: tuple[Any, ...]
) -> None:
    registry.given(NETS, RegistryDeleted()).when(decision, *arguments).then_raises(NotFoundError, "was deleted")
    registry.when(decision, *arguments).then_raises(NotFoundError, "was deleted")


# --- any sequence of decisions ---------------------------------------------------------------------------------------

names = st.sampled_from(["a", "b"])
types = st.lists(names, max_size=2).map(tuple)
begun = st.builds(
    RegistryCreated, st.just(ORG), names, st.booleans(), st.sampled_from(Visibility), types, st.none(), st.booleans()
)
acts = st.one_of(
    act(create_registry, begun),
    act(rename_registry, names),
    act(describe_registry, st.sampled_from([None, TEXT])),
    act(change_visibility, st.sampled_from(Visibility)),
    act(accept_types, types, narrow=st.booleans()),
    act(accept_all_types),
    act(set_member_role, names, st.just(PRINCIPAL), st.none() | st.sampled_from(Role)),
    act(set_protected_aliases, st.frozensets(names)),
    act(delete_registry),
)


@given(begun, st.lists(acts, max_size=12))
def test_any_sequence_keeps_the_rules(first: RegistryCreated, wanted: list[Act]) -> None:
    state = happen(REGISTRY, REGISTRY.initial, [first])
    for each in wanted:
        before, events = state, attempt(state, each)
        state = happen(REGISTRY, state, events)
        narrowed = each.named.get("narrow", False)
        assert attempt(state, each) == []
        assert not (before.deleted and events)
        assert state.types >= before.types
        assert state.all_types >= before.all_types or narrowed
        assert (before.visibility, state.visibility) != (RESTRICTED, OPEN)
        assert len(dict(state.members)) == len(state.members)
        if first.core:
            assert (state.name, state.visibility, state.deleted) == (first.name, first.visibility, False)
            assert state.all_types <= first.all_types


@given(st.dictionaries(names, st.none() | st.sampled_from(Role)))
def test_every_member_has_the_role_that_was_given_last(roles: dict[str, Role | None]) -> None:
    state = happen(REGISTRY, REGISTRY.initial, [NETS, MemberRoleSet("a", PRINCIPAL, Role.VIEWER)])
    for member, role in roles.items():
        state = happen(REGISTRY, state, set_member_role(state, member, PRINCIPAL, role))
    expected = {"a": Role.VIEWER, **roles}
    assert dict(state.members) == {member: role for member, role in expected.items() if role is not None}


@pytest.mark.parametrize("visibility", Visibility)
@pytest.mark.parametrize("role", [None, *Role])
def test_who_may_only_look_is_handed_nothing(visibility: Visibility, role: Role | None) -> None:
    if role is Role.RESTRICTED_VIEWER or (role is None and visibility is Visibility.RESTRICTED):
        with pytest.raises(PermissionDeniedError, match="only a viewer may take it"):
            require_reader(role, visibility, "take it")
    else:
        require_reader(role, visibility, "take it")
