"""The key that signs checkpoints."""

from __future__ import annotations

from muniment.app import keys
from muniment.app.cli.frame import group, store
from muniment.app.cli.show import One, Shown


@group(examples=("muniment key show", "muniment key rotate"))
def key() -> None:
    """Show the key that signs checkpoints, or put a new one in its place."""


@key.command(examples=("muniment key show > ledger.key",))
def show() -> Shown:
    """Print the verifier key: what others need to check signatures."""
    verifier = store().signer.verifier_key()
    return One({"verifier": verifier}, verifier)


@key.command(examples=("muniment key rotate",))
def rotate() -> Shown:
    """Put a new key in the place of the old one, which is destroyed; both sign the announcement.

    Give the chain (`muniment key chain`) to whoever trusts the old key.
    """
    verifier = keys.rotate(store())
    return One({"verifier": verifier}, verifier)


@key.command(examples=("muniment key chain > ledger.chain",))
def chain() -> Shown:
    """Print the announcements by which keys of this ledger followed each other."""
    text = store().signer.chain()
    return One({"chain": text}, text.removesuffix("\n"))
