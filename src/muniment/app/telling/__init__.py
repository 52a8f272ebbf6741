"""Telling what became of things: their history, their lineage, and what changed between two moments."""
