"""What data is processed for is declared with its purpose and legal basis, and can end."""

from __future__ import annotations

from attrs import evolve

from muniment.domain.errors import InvalidValueError, NotFoundError
from muniment.domain.hold import ScopeKind
from muniment.domain.processing import (
    ACTIVITY,
    ActivityDeclared,
    ActivityEnded,
    LegalBasis,
    Part,
    declare_activity,
    end_activity,
)
from muniment.domain.values import ERASED
from tests.spec import Spec

FACES = ActivityDeclared(
    ScopeKind.PROJECT, "p", Part.CONTROLLER, special=True, name="faces", purpose="research",
    legal_basis=LegalBasis.CONSENT,
)  # fmt: skip
activity = Spec(ACTIVITY)


def test_an_activity_is_declared_changed_ended_and_declared_again() -> None:
    activity.given().when(declare_activity, FACES).then(FACES)
    activity.given(FACES).when(declare_activity, FACES).then_nothing()
    other = evolve(FACES, purpose="recognition", recipients="the police")
    activity.given(FACES).when(declare_activity, other).then(other)
    activity.given(FACES, other).when(end_activity).then(ActivityEnded())
    activity.given(FACES, ActivityEnded()).when(end_activity).then_nothing()
    activity.given(FACES, ActivityEnded()).when(declare_activity, FACES).then(FACES)


def test_words_that_were_redacted_do_not_keep_it_from_being_declared_again() -> None:
    activity.given(evolve(FACES, name=ERASED, purpose=ERASED)).when(declare_activity, FACES).then(FACES)


def test_what_the_record_cannot_do_without_is_asked_for() -> None:
    first = activity.given()
    first.when(end_activity).then_raises(NotFoundError, "no such activity")
    first.when(declare_activity, evolve(FACES, name=" ")).then_raises(InvalidValueError, "needs a name")
    first.when(declare_activity, evolve(FACES, purpose="")).then_raises(InvalidValueError, "needs a purpose")
    first.when(declare_activity, evolve(FACES, legal_basis=None)).then_raises(InvalidValueError, "legal basis")
    processor = evolve(FACES, part=Part.PROCESSOR)
    first.when(declare_activity, processor).then_raises(InvalidValueError, "leaves it to the controller")
    first.when(declare_activity, evolve(processor, legal_basis=None)).then(evolve(processor, legal_basis=None))
    for scope in (ScopeKind.VERSION, ScopeKind.SUBJECT, ScopeKind.TAG):
        first.when(declare_activity, evolve(FACES, scope=scope)).then_raises(InvalidValueError, "cannot be declared")
    moved = evolve(FACES, target="q")
    activity.given(FACES).when(declare_activity, moved).then_raises(InvalidValueError, "cannot be changed")
