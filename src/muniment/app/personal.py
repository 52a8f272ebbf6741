"""Where the personal values of events are kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs

from muniment.domain.values import Personal, SlotId


def personal_slots(event: Any) -> Iterator[SlotId]:  # noqa: ANN401 (any event class)
    """Yield the slots of the personal values of an event."""
    for each in attrs.fields(type(event)):
        value = getattr(event, each.name)
        if isinstance(value, Personal):
            yield value.slot
