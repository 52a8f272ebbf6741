"""Checkpoints, proofs and bundles: what is made here can be checked by somebody who has not the ledger."""
