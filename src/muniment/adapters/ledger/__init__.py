"""The append-only record, on the recorders of ``eventsourcing``."""
