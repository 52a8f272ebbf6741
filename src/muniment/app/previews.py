"""What another rule would change: a policy or TTL that is tried on all versions and not set."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from attrs import evolve, frozen

from muniment.app import policies, retention, trial
from muniment.app.retention import Book
from muniment.app.store import Store
from muniment.domain.errors import ApprovalNeededError
from muniment.domain.policy import PolicySet
from muniment.domain.retention import Decision
from muniment.domain.rows import PolicyRow, VersionRow
from muniment.domain.values import Erased, Micros, Ttl


@frozen
class Difference:
    """A version about which is decided otherwise: how it is, and how it would be."""

    version: VersionRow
    before: Decision
    after: Decision


@frozen
class Preview:
    """What would be otherwise, and why it cannot be done yet (``None``: it can)."""

    differences: Iterator[Difference]
    needs: str | None


def of_policy(store: Store, wanted: PolicySet) -> Preview:
    """Try a policy; refused as setting it would be, but for an approval that it needs."""
    id_ = policies.id_of(store.views, wanted)
    needs = _needs(lambda: policies.put(trial.of(store), wanted))
    book = retention.book(store, wide=True)
    return Preview(_differences(book, book.instead(id_, _row(store, id_, wanted)), store), needs)


def of_removal(store: Store, policy_id: str) -> Preview:
    """Try to do without a policy."""
    needs = _needs(lambda: policies.remove_policy(trial.of(store), policy_id))
    book = retention.book(store, wide=True)
    return Preview(_differences(book, book.instead(policy_id, None), store), needs)


def of_ttl(store: Store, versions: Iterable[VersionRow], ttl: Ttl) -> Iterator[Difference]:
    """Try a TTL on some versions."""
    book, now = retention.book(store, wide=True), store.clock()
    for version in versions:
        other = evolve(version, ttl_rule=ttl.rule.value, ttl_micros=ttl.micros)
        yield from _difference(version, book.decide(version, now), book.decide(other, now))


def _differences(before: Book, after: Book, store: Store) -> Iterator[Difference]:
    now = store.clock()
    for version in retention.kept(store.views):
        yield from _difference(version, before.decide(version, now), after.decide(version, now))


def _difference(version: VersionRow, before: Decision, after: Decision) -> Iterator[Difference]:
    if _end(before) != _end(after):
        yield Difference(version, before, after)


def _end(decision: Decision) -> tuple[object, Micros | None, Micros | None]:
    return decision.then, decision.due_at, decision.not_before


def _needs(act: Callable[[], object]) -> str | None:
    try:
        act()
    except ApprovalNeededError as error:
        return str(error)
    return None


def _row(store: Store, policy_id: str, wanted: PolicySet) -> PolicyRow:
    terms = wanted.terms
    return PolicyRow(
        policy_id=policy_id,
        scope=wanted.scope.value,
        target=wanted.target,
        type=_known(wanted.type),
        start=terms.start.value,
        minimum=terms.minimum,
        maximum=terms.maximum,
        ending=terms.ending.value,
        keep_last=terms.keep_last,
        citation=_known(wanted.citation),
        statutory=int(wanted.statutory),
        set_by=store.context.actor,
        set_at=store.clock(),
    )


def _known(words: str | Erased | None) -> str | None:
    return words if isinstance(words, str) else None
