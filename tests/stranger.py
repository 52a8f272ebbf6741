"""Checks a ledger file as somebody would who has only ``docs/format.md``: with json, hashlib and sqlite3."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from typing import Any

IN_LEAF = {
    "actor": "actor",
    "causation": "causation",
    "class": "class",
    "command": "command",
    "correlation": "correlation",
    "event_id": "event_id",
    "on_behalf_of": "on_behalf_of",
    "org": "org",
    "outcome": "outcome",
    "position": "originator_version",
    "recorded_at": "recorded_at",
    "request": "request",
    "run": "run",
    "seq": "rowid",
    "source": "source",
    "stream": "originator_id",
    "type": "topic",
}
"""The members of a leaf that are columns, and what the columns are called."""


def leaf_text(event: dict[str, Any]) -> bytes:
    """Return the text of the leaf of an event, given as a dict of its columns."""
    leaf = {name: event[column] for name, column in IN_LEAF.items() if event[column] is not None}
    leaf["v"] = 1
    leaf["facts_commit"] = hashlib.sha256(event["facts_blind"] + event["state"]).hexdigest()
    if event["words"] is not None:
        leaf["words_commit"] = hashlib.sha256(event["words_blind"] + event["words"]).hexdigest()
    elif event["words_commit"] is not None:
        leaf["words_commit"] = event["words_commit"].hex()
    return json.dumps(leaf, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def leaf_hash(text: bytes) -> bytes:
    """Return the hash of a leaf."""
    return hashlib.sha256(b"\x00" + text).digest()


def root(leaves: Sequence[bytes]) -> bytes:
    """Return the root, by the recursive definition of RFC 6962, section 2.1."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\x01" + root(leaves[:split]) + root(leaves[split:])).digest()


def frontier(leaves: Sequence[bytes]) -> bytes:
    """Return the roots of the complete subtrees, largest first."""
    parts, begin = [], 0
    for power in reversed(range(len(leaves).bit_length())):
        if len(leaves) >> power & 1:
            parts.append(root(leaves[begin : begin + (1 << power)]))
            begin += 1 << power
    return b"".join(parts)


def check(path: str) -> tuple[int, bytes]:
    """Check every event, leaf and the head of a ledger file; return its size and root."""
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        events = [dict(row) for row in connection.execute("SELECT * FROM events ORDER BY rowid")]
        leaves = [row["hash"] for row in connection.execute("SELECT hash FROM leaves ORDER BY seq")]
        head = connection.execute("SELECT * FROM head").fetchone()
    positions: dict[str, int] = {}
    for number, event in enumerate(events, 1):
        assert event["rowid"] == number
        assert leaf_hash(leaf_text(event)) == leaves[number - 1]
        positions[event["originator_id"]] = positions.get(event["originator_id"], 0) + 1
        assert event["originator_version"] == positions[event["originator_id"]]
    times = [event["recorded_at"] for event in events]
    assert times == sorted(set(times))
    assert (head["size"], head["recorded_at"]) == (len(leaves), times[-1])
    assert head["frontier"] == frontier(leaves)
    return len(leaves), root(leaves)
