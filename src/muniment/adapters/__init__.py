"""The world: one file per technology, each behind a port of the domain."""
