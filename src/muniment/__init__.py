"""Muniment: a self-hosted, event-sourced artifact store and registry for machine learning.

``import muniment as wandb`` gives the names that users of W&B's library know. They are loaded when they are first
used, so the import itself costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from muniment import errors as errors
    from muniment.app.sdk.api import Api as Api
    from muniment.app.sdk.artifact import Artifact as Artifact
    from muniment.app.sdk.collection import ArtifactCollection as ArtifactCollection
    from muniment.app.sdk.errors import ArtifactFinalizedError as ArtifactFinalizedError
    from muniment.app.sdk.errors import ArtifactNotLoggedError as ArtifactNotLoggedError
    from muniment.app.sdk.errors import ArtifactStatusError as ArtifactStatusError
    from muniment.app.sdk.errors import CommError as CommError
    from muniment.app.sdk.errors import Error as Error
    from muniment.app.sdk.errors import UnsupportedError as UnsupportedError
    from muniment.app.sdk.errors import UsageError as UsageError
    from muniment.app.sdk.errors import WaitTimeoutError as WaitTimeoutError
    from muniment.app.sdk.login import login as login
    from muniment.app.sdk.mapping import Config, Summary
    from muniment.app.sdk.registry import Registry as Registry
    from muniment.app.sdk.run import Run as Run
    from muniment.app.sdk.settings import Settings as Settings
    from muniment.app.sdk.starting import finish as finish
    from muniment.app.sdk.starting import init as init
    from muniment.app.sdk.starting import setup as setup
    from muniment.app.sdk.starting import teardown as teardown
    from muniment.app.sdk.table import Table as Table
    from muniment.app.sdk.ttl import ArtifactTTL as ArtifactTTL
    from muniment.domain.errors import MunimentError as MunimentError

    run: Run | None
    config: Config
    summary: Summary
    log = Run.log
    log_artifact: Callable[..., Artifact]
    use_artifact: Callable[..., Artifact]
    link_artifact: Callable[..., Artifact]
    upsert_artifact: Callable[..., Artifact]
    finish_artifact: Callable[..., Artifact]
    log_model: Callable[..., None]
    use_model: Callable[..., str]
    link_model: Callable[..., Artifact]
    log_code: Callable[..., Artifact | None]

_SDK = "muniment.app.sdk"
_HOMES = {
    "Api": f"{_SDK}.api",
    "Artifact": f"{_SDK}.artifact",
    "ArtifactCollection": f"{_SDK}.collection",
    "ArtifactFinalizedError": f"{_SDK}.errors",
    "ArtifactNotLoggedError": f"{_SDK}.errors",
    "ArtifactStatusError": f"{_SDK}.errors",
    "ArtifactTTL": f"{_SDK}.ttl",
    "CommError": f"{_SDK}.errors",
    "Error": f"{_SDK}.errors",
    "MunimentError": "muniment.domain.errors",
    "Registry": f"{_SDK}.registry",
    "Run": f"{_SDK}.run",
    "Settings": f"{_SDK}.settings",
    "Table": f"{_SDK}.table",
    "UnsupportedError": f"{_SDK}.errors",
    "UsageError": f"{_SDK}.errors",
    "WaitTimeoutError": f"{_SDK}.errors",
    "finish": f"{_SDK}.starting",
    "init": f"{_SDK}.starting",
    "login": f"{_SDK}.login",
    "setup": f"{_SDK}.starting",
    "teardown": f"{_SDK}.starting",
}
_OF_THE_RUN = (
    "config",
    "finish_artifact",
    "link_artifact",
    "link_model",
    "log",
    "log_artifact",
    "log_code",
    "log_model",
    "summary",
    "upsert_artifact",
    "use_artifact",
    "use_model",
)
"""What belongs to the newest run and can be had without naming it."""

__all__ = [  # noqa: PLE0604 (the names are known, their values come later)
    *_HOMES,
    "__version__",
    "errors",
    "run",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 (as many kinds as names)
    if name in _HOMES:
        found = globals()[name] = getattr(_load(_HOMES[name]), name)
        return found
    if name == "run":
        return _load(f"{_SDK}.recording").active()
    if name in _OF_THE_RUN:
        return _load(f"{_SDK}.starting").of_the_run(name)
    if name == "errors":
        return _load("muniment.errors")
    if name == "__version__":
        return _load("importlib.metadata").version("muniment")
    msg = f"module 'muniment' has no attribute {name!r}"
    raise AttributeError(msg)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _load(module: str) -> Any:  # noqa: ANN401 (a module)
    from importlib import import_module  # noqa: PLC0415 (nothing is loaded before it is needed)

    return import_module(module)
