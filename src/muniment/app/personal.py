"""Where the personal values of events are kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from muniment.app.fields import names_of
from muniment.domain.values import Personal, SlotId


def personal_slots(event: Any) -> Iterator[SlotId]:  # noqa: ANN401 (any event class)
    """Yield the slots of the personal values of an event."""
    return (slot for _, slot in personal_fields(event))


def personal_fields(event: Any) -> Iterator[tuple[str, SlotId]]:  # noqa: ANN401 (any event class)
    """Yield the fields of an event that hold personal values, and where these are kept."""
    for name in names_of(type(event)):
        value = getattr(event, name)
        if isinstance(value, Personal):
            yield name, value.slot
