"""The key that signs checkpoints."""

from __future__ import annotations

from muniment.app.cli.frame import group, store
from muniment.app.cli.show import One, Shown
from muniment.app.cli.trying import dry_run_option
from muniment.app.proving import keys


@group(examples=("muniment key show", "muniment key rotate"))
def key() -> None:
    """Show the key that signs checkpoints, or put a new one in its place."""


@key.command(examples=("muniment key show > ledger.key",))
def show() -> Shown:
    """Print the verifier key: what others need to check signatures."""
    verifier = store().signer.verifier_key()
    return One({"verifier": verifier}, verifier)


@key.command(examples=("muniment key rotate --dry-run", "muniment key rotate"))
@dry_run_option
def rotate(dry_run: bool) -> Shown:
    """Put a new key in the place of the old one, which is destroyed; both sign the announcement.

    Give the chain (`muniment key chain`) to whoever trusts the old key.
    """
    opened = store()
    if dry_run:
        old = opened.signer.verifier_key()
        return One({"dry_run": True, "destroyed": old}, f"would happen: key destroyed  {old}\nnothing was done")
    verifier = keys.rotate(opened)
    return One({"verifier": verifier}, verifier)


@key.command(examples=("muniment key chain > ledger.chain",))
def chain() -> Shown:
    """Print the announcements by which keys of this ledger followed each other."""
    text = store().signer.chain()
    return One({"chain": text}, text.removesuffix("\n"))
