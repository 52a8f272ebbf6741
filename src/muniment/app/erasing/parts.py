"""Parts of versions that are being made by several, and hold what is erased: they go, and so does what lists them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from attrs import evolve

from muniment.app import manifests
from muniment.app.erasing import planning
from muniment.app.erasing.planning import Plan
from muniment.app.manifests import Manifest
from muniment.app.reach import DRAFT
from muniment.app.store import Store
from muniment.domain.ports import Transaction
from muniment.domain.values import Digest


def drop(store: Store, plan: Plan) -> None:
    """Drop the parts that hold what is erased; who finishes them has to add them again.

    The blobs that list their paths are added to the plan first, so that they go with the contents.
    """
    found = dict(holding(store, plan))
    if not found:
        return
    listing = {blob for manifest in found.values() for blob in planning.listing(manifest)}
    planning.save(store, evolve(plan, manifests=sorted({*plan.manifests, *listing})))
    for key in found:
        store.ledger.work(partial(_drop, key))


def holding(store: Store, plan: Plan) -> Iterator[tuple[str, Manifest]]:
    """Yield the parts that hold contents which are to go, and their manifests."""
    going = set(plan.going)
    for key, part in store.ledger.scratch.items(DRAFT):
        if "manifest" not in part:
            continue
        blobs = (store if part.get("team") is None else store.of_team(part["team"])).blobs
        manifest = manifests.read(blobs, store.codec, Digest(part["manifest"]))
        if any(digest in going for digest, _ in manifest.contents()):
            yield key, manifest


def _drop(key: str, transaction: Transaction) -> None:
    transaction.scratch.delete(DRAFT, key)
