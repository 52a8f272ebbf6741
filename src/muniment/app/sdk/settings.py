"""What can be set for a run; names that mean nothing here are accepted, so that scripts need no change."""

from __future__ import annotations

from typing import Any

from attrs import define, fields

from muniment.app.sdk.errors import UsageError
from muniment.domain.values import Json


@define
class _Known:
    """The settings that have a meaning here; ``None`` leaves it to the environment and ``config.toml``."""

    entity: str | None = None
    project: str | None = None
    organization: str | None = None
    mode: str | None = None
    run_id: str | None = None
    run_name: str | None = None
    run_group: str | None = None
    run_job_type: str | None = None
    run_notes: str | None = None
    run_tags: tuple[str, ...] | None = None
    resume: str | bool | None = None
    reinit: str | bool | None = None
    silent: bool | None = None
    quiet: bool | None = None
    root_dir: str | None = None
    allow_val_change: bool | None = None


class Settings(_Known):
    """What can be set for a run; W&B's other settings are accepted and kept, and mean nothing."""

    def __init__(self, **settings: Any) -> None:  # noqa: ANN401 (as many kinds as settings)
        names = {field.name for field in fields(_Known)}
        super().__init__(**{name: settings.pop(name) for name in names & settings.keys()})
        self.others: dict[str, Json] = settings
        if self.mode not in {None, "online", "offline", "disabled", "shared", "dryrun", "run"}:
            msg = f"mode must be 'online', 'offline' (the same here) or 'disabled', not {self.mode!r}"
            raise UsageError(msg)

    @classmethod
    def of(cls, given: object) -> Settings:
        """Return settings that were given as such, as a dictionary, or not at all."""
        if given is None:
            return cls()
        if isinstance(given, Settings):
            return cls(**given.dump())
        if isinstance(given, dict):
            return cls(**given)
        msg = f"settings must be Settings or a dictionary, not {type(given).__name__}"
        raise UsageError(msg)

    def dump(self) -> dict[str, Any]:
        """Return all that is set."""
        known = {field.name: getattr(self, field.name) for field in fields(_Known)}
        return {name: value for name, value in {**self.others, **known}.items() if value is not None}
