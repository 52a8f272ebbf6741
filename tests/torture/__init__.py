"""Kills a process at counted points of what it does to a store, and looks at what is left; see docs/torture.md."""
