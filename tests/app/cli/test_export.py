"""Exports on the command line: to standard output or a file, as of now or then."""

from __future__ import annotations

import json
from pathlib import Path

from tests.app.cli.conftest import Run


def test_an_export_goes_to_standard_output_or_a_file(muniment: Run, data: Path) -> None:
    muniment("artifact", "put", "-n", "mnist", str(data))
    seq = muniment("events", "--json").lines[-1]["seq"]
    printed = muniment("export", "croissant", "mnist").out
    assert [each["contentUrl"] for each in json.loads(printed)["distribution"]] == ["a.txt", "sub/b.txt"]
    (data / "more.txt").write_text("more")
    muniment("artifact", "put", "-n", "mnist", str(data))
    done = muniment("export", "croissant", "mnist", "--as-of", str(seq), "-o", "then.json")
    assert done.out == "wrote then.json\n"
    assert Path("then.json").read_text() == printed
    assert len(json.loads(muniment("export", "croissant", "mnist").out)["distribution"]) == 3


def test_what_cannot_be_exported_is_refused_in_a_line(muniment: Run, data: Path) -> None:
    muniment("artifact", "put", "-n", "mnist", str(data))
    assert "croissant tells of a version" in muniment("export", "croissant", "local/uncategorized", status=1).err
    assert "cannot be written" in muniment("export", "prov", "mnist", "-o", "no/where.json", status=1).err
    muniment("export", "yaml", "mnist", status=2)
