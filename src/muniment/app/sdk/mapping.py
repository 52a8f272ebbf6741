"""A run's configuration and summary: dictionaries whose keys are attributes too."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any

from muniment.app.sdk.errors import ConfigError, UsageError
from muniment.app.sdk.plain import plain
from muniment.domain.values import Json

Convert = Callable[[str, Any], Any]


class Facts(MutableMapping[str, Any]):
    """Values by key, as items and as attributes; who owns them hears of every change."""

    def __init__(self, what: str, convert: Convert, changed: Callable[[], None]) -> None:
        own = {"_what": what, "_convert": convert, "_changed": changed, "_values": {}}
        for name, value in own.items():
            object.__setattr__(self, name, value)

    _what: str
    _convert: Convert
    _changed: Callable[[], None]
    _values: dict[str, Any]

    def __getitem__(self, key: str) -> Any:  # noqa: ANN401 (any JSON value)
        return self._values[key]

    def __setitem__(self, key: str, value: Any) -> None:  # noqa: ANN401
        self._put({str(key): value})

    def __delitem__(self, key: str) -> None:
        del self._values[key]
        self._changed()

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __getattr__(self, key: str) -> Any:  # noqa: ANN401
        try:
            return self._values[key]
        except KeyError:
            msg = f"{self._what} has no key {key!r}"
            raise AttributeError(msg) from None

    def __setattr__(self, key: str, value: Any) -> None:  # noqa: ANN401
        self[key] = value

    def __delattr__(self, key: str) -> None:
        del self[key]

    def __repr__(self) -> str:
        return repr(self._values)

    def as_dict(self) -> dict[str, Json]:
        """Return a copy as plain JSON."""
        copy: dict[str, Json] = plain(self._values, self._what)
        return copy

    def _put(self, values: Mapping[str, Any]) -> None:
        self._values.update({key: self._convert(key, value) for key, value in values.items()})
        if values:
            self._changed()

    def restore(self, values: Mapping[str, Json]) -> None:
        """Take over values without telling anybody."""
        self._values.update(values)


class Config(Facts):
    """A run's configuration; a key keeps its value unless a change is said to be meant."""

    def __init__(self, convert: Convert, changed: Callable[[], None], *, may_change: bool = False) -> None:
        super().__init__("config", convert, changed)
        object.__setattr__(self, "_may_change", may_change)

    _may_change: bool

    def update(self, given: Any = None, allow_val_change: bool | None = None, **values: Any) -> None:  # type: ignore[override]  # noqa: ANN401 (W&B's signature)
        """Set many keys at once."""
        self._put({**mapping_of(given), **values}, may_change=allow_val_change)

    def setdefaults(self, given: Any) -> None:  # noqa: ANN401
        """Set those keys that have no value yet."""
        self._put({key: value for key, value in mapping_of(given).items() if key not in self})

    def _put(self, values: Mapping[str, Any], *, may_change: bool | None = None) -> None:
        converted = {key: self._convert(key, value) for key, value in values.items()}
        if not (self._may_change if may_change is None else may_change):
            for key, value in converted.items():
                if key in self._values and self._values[key] != value:
                    msg = (
                        f'Attempted to change value of key "{key}" from {self._values[key]} to {value}. '
                        "If you really want to do this, pass allow_val_change=True to config.update()"
                    )
                    raise ConfigError(msg)
        self._values.update(converted)
        if converted:
            self._changed()


class Summary(Facts):
    """A run's summary: the last value of everything it logged, and whatever else is set."""

    def __init__(self, convert: Convert, changed: Callable[[], None]) -> None:
        super().__init__("summary", convert, changed)

    def update(self, given: Any = None, **values: Any) -> None:  # type: ignore[override]  # noqa: ANN401
        """Set many keys at once."""
        self._put({**mapping_of(given), **values})


def mapping_of(given: object) -> dict[str, Any]:
    """Return a configuration that was given as a dictionary, as parsed arguments, or not at all."""
    if given is None:
        return {}
    if isinstance(given, Namespace):
        return vars(given).copy()
    if isinstance(given, Mapping):
        return {str(key): value for key, value in given.items()}
    if hasattr(given, "__dataclass_fields__") and not isinstance(given, type):
        return {name: getattr(given, name) for name in given.__dataclass_fields__}
    msg = f"config must be a dictionary or parsed arguments, not {type(given).__name__} — read files yourself"
    raise UsageError(msg)
