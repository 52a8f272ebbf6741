"""The door: names are loaded when they are first used, and all of them are there."""

from __future__ import annotations

import subprocess
import sys

import pytest

import muniment as wandb


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.strip()


def test_importing_loads_nothing_of_ours_and_of_nobody_else() -> None:
    code = (
        "import sys; before = set(sys.modules); import muniment; "
        "print(sorted(m for m in set(sys.modules) - before if m.split('.')[0] not in sys.stdlib_module_names))"
    )
    assert python(code) == "['muniment']"


def test_an_artifact_needs_neither_the_ledger_nor_the_vault() -> None:
    code = "import sys, muniment; muniment.Artifact, muniment.Settings, muniment.Table, muniment.CommError; print([m for m in ('click', 'cryptography', 'eventsourcing', 'cattrs', 'rfc8785') if m in sys.modules])"  # fmt: skip  # noqa: E501
    assert python(code) == "[]"


def test_every_public_name_is_there() -> None:
    for name in wandb.__all__:
        assert hasattr(wandb, name), name
        assert name in dir(wandb)
    assert wandb.__version__.count(".") == 2
    assert wandb.errors.CommError is wandb.CommError
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = wandb.nothing


def test_all_names_can_be_imported_at_once() -> None:
    assert python("from muniment import *; print(Artifact.__name__, run, callable(init))") == "Artifact None True"


def test_the_errors_are_a_module_as_they_are_with_wandb() -> None:
    from muniment.errors import CommError, Error, MunimentError, UsageError  # noqa: PLC0415 (as a user would)

    assert (CommError, Error, UsageError) == (wandb.CommError, wandb.Error, wandb.UsageError)
    assert issubclass(wandb.errors.ConfigError, UsageError)
    assert issubclass(Error, MunimentError)
    code = "from muniment.errors import CommError; import muniment; print(muniment.errors.CommError is CommError)"
    assert python(code) == "True"


def test_what_belongs_to_the_run_is_had_without_naming_it() -> None:
    with wandb.init() as run:
        assert wandb.run is run
        assert wandb.config is run.config
        assert wandb.summary is run.summary
        wandb.log({"a": 1})  # type: ignore[call-arg, arg-type, unused-ignore]
    assert run.summary["a"] == 1
    with pytest.raises(AttributeError, match="You must call"):
        _ = wandb.summary
