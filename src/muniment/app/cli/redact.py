"""Destroying the words of events."""

from __future__ import annotations

import click

from muniment.app import approvals, redaction
from muniment.app.cli.frame import command, store
from muniment.app.cli.show import One, Shown
from muniment.domain.approval import Act


@command(
    examples=("muniment redact 17 18 --propose --reason 'a name that should not be there'", "muniment redact 17 18")
)
@click.argument("seqs", metavar="SEQ...", nargs=-1, type=click.IntRange(1), required=True)
@click.option("--propose", is_flag=True, help="Ask another admin to agree; nothing is destroyed yet.")
@click.option("--reason", metavar="TEXT", help="Why, with --propose.")
def redact(seqs: tuple[int, ...], propose: bool, reason: str | None) -> Shown:
    """Destroy the words of events for good: the names, aliases, tags and digests that they say.

    It takes two people: one proposes it, another approves it, and then it can be done. The events stay, with all
    proofs; an event says which lost their words. What is held is not redacted. Afterwards run `muniment compliance
    scrub`.
    """
    opened = store()
    if reason is not None and not propose:
        msg = "--reason goes with --propose: what is proposed has a reason"
        raise click.UsageError(msg)
    if propose:
        target = redaction.target_of(seqs)
        id_ = approvals.propose(opened, Act.REDACT, target, reason)
        text = f"proposed as {id_}; another admin runs: muniment approval approve {id_}"
        return One({"proposal": id_, "target": target}, text)
    count = redaction.redact(opened, seqs)
    return One({"redacted": count}, f"destroyed the words of {count} events")
