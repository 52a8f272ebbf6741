"""Whether the store can do its work, and what it holds, on the command line."""

from __future__ import annotations

from pathlib import Path

from tests.app.cli.conftest import Run


def test_the_doctor_prints_a_line_for_each_check(muniment: Run, own_home: Path) -> None:
    checked = muniment("doctor")
    assert {line.split()[0] for line in checked.out.splitlines()} == {"ok"}
    assert "ok    blobs: can be put, read and deleted" in checked.out.splitlines()
    own_home.chmod(0o755)
    assert f"warn  home: others can look into {own_home} \N{EM DASH} chmod 700 {own_home}\n" in muniment("doctor").out


def test_a_check_that_fails_is_status_1(muniment: Run, own_home: Path) -> None:
    muniment("org", "ls")
    (own_home / "master.key").chmod(0o644)
    rows = {row["check"]: row for row in muniment("doctor", "--json", status=1).lines}
    assert rows["store"]["state"] == rows["key file"]["state"] == "fail"
    assert rows["key file"]["way_out"] == f"chmod 600 {own_home / 'master.key'}"
    assert "blobs" not in rows


def test_the_store_is_counted(muniment: Run, data: Path) -> None:
    muniment("artifact", "put", "-n", "mnist", str(data))
    found = muniment("stats", "--json").json
    assert found["projects"] == [{"name": "local/uncategorized", "artifacts": 1, "versions": 1, "bytes": 12}]
    assert (found["artifacts"], found["versions"], found["bytes_referenced"]) == (1, 1, 12)
    assert "local/uncategorized: 1 artifact, 1 version, 12 B" in muniment("stats").out
    assert "12 B referenced" in muniment("stats").out
