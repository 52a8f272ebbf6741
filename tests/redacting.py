"""Redacting events as an erasure that was agreed on does, whatever they say."""

from __future__ import annotations

import json
from collections.abc import Collection

from muniment.app import redaction
from muniment.app.store import Store
from muniment.app.transact import Request
from muniment.domain import redaction as rules


def telling(store: Store) -> list[int]:
    """Return the events that still have words."""
    every = range(1, store.ledger.head().size + 1)
    return [seq for seq in every if store.ledger.leaf(seq).words is not None]


def redact(store: Store, seqs: Collection[int]) -> None:
    """Destroy the words of events, of what is held too, and make the rows again."""
    targets = tuple((seq, str(json.loads(store.ledger.leaf(seq).text)["words_commit"])) for seq in sorted(seqs))
    stream = rules.redactions_stream(store.context.organisation)
    store.transact(
        Request("redact"),
        lambda steps: steps.step(rules.REDACTION, stream, rules.redact_events, targets) and None,
    )
    store.ledger.rebuild()
    assert redaction.redacted(store) >= len(targets)
