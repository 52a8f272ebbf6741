"""Every export is what somebody else's library takes for right, says what is gone, and is the same bytes again."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from muniment.app import exports
from muniment.app.exports import FORMATS
from muniment.domain import version as versions
from muniment.domain.errors import InvalidValueError, NotFoundError, StorageError
from muniment.domain.rows import RunRow
from tests.app.exports.conftest import CANARY, OWN, ask, step, write
from tests.app.scene import Scene

CASES = [
    ("openlineage", "local/uncategorized"),
    ("openlineage", "net:v0"),
    ("openlineage", "runs/train"),
    ("prov", "net:v0"),
    ("prov", "runs/again"),
    ("croissant", "data:v0"),
    ("croissant", "worse:v0"),
    ("cyclonedx", "net:v0"),
    ("cyclonedx", "data:v0"),
    ("cyclonedx", "bad:v0"),
    ("datapackage", "data:v0"),
    ("datapackage", "net:v0"),
]


def written(scene: Scene, format_: str, name: str, at: int | None = None) -> bytes:
    return b"".join(exports.export(scene.store, format_, name, at=at))


def told_of(scene: Scene, format_: str, name: str) -> Any:
    return json.loads(written(scene, format_, name))


def events_of(scene: Scene, name: str) -> list[Any]:
    return [json.loads(line) for line in written(scene, "openlineage", name).splitlines()]


# --- somebody else's judgement ---------------------------------------------------------------------------------------


def test_the_judges_of_all_formats_find_nothing_wrong(told: Scene, tmp_path: Path) -> None:
    asked = [
        (format_, write(told, format_, name, tmp_path / str(number), downloaded=name not in {"worse:v0", "bad:v0"}))
        for number, (format_, name) in enumerate(CASES)
    ]
    assert dict(zip(CASES, ask(*asked), strict=True)) == {case: [] for case in CASES}


def _flip(name: str) -> Callable[[Path], object]:
    def flip(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content.replace(b"bob", b"eve"))

    return flip


def _say(old: str, new: str) -> Callable[[Path], object]:
    def say(folder: Path) -> None:
        (file,) = folder.glob("*.json")
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new, 1))

    return say


WRONG: list[tuple[str, str, Callable[[Path], object], str]] = [
    ("croissant", "data:v0", _flip("table.csv"), "(hex)"),
    ("croissant", "data:v0", _say('"cr:FileObject"', '"cr:NoObject"'), "@type"),
    ("datapackage", "data:v0", _flip("table.csv"), "Hash Count Error"),
    ("datapackage", "data:v0", _say('"type": "string"', '"type": "integer"'), "Type Error"),
    ("cyclonedx", "net:v0", _say('"modelCard"', '"modelChart"'), "modelChart"),
    ("cyclonedx", "net:v0", _say('"urn:uuid:', '"urn:uid:'), "urn:uid:"),
    ("prov", "net:v0", _say('"used"', '"wasUsedUp"'), "wasUsedUp"),
    ("openlineage", "net:v0", _say('"muniment_version"', '"muniment_guess"'), "nobody knows facet muniment_guess"),
    ("openlineage", "net:v0", _say('"digest":"', '"digest":"x'), "does not match"),
    ("openlineage", "net:v0", _say('"eventTime":"2', '"eventTime":"x2'), "is not a 'date-time'"),
    ("openlineage", "net:v0", _say('"lifecycleStateChange":"CREATE"', '"lifecycleStateChange":"LOST"'), "LOST"),
]
"""An export, how it is changed, and what its judge must say then."""


def test_the_judges_find_what_is_wrong(told: Scene, tmp_path: Path) -> None:
    asked = []
    for number, (format_, name, change, _) in enumerate(WRONG):
        asked.append((format_, write(told, format_, name, tmp_path / str(number))))
        change(tmp_path / str(number))
    remote = tmp_path / "remote.json"
    remote.write_text('{"name": "x", "resources": [{"name": "r", "path": "http://127.0.0.1:9/r.csv"}]}')
    *judged, unreached = ask(*asked, ("datapackage", remote))
    assert "a judge wanted the network" in " ".join(unreached)
    for (format_, *_, said), found in zip(WRONG, judged, strict=True):
        assert found, (format_, said)
        assert said in "\n".join(found)


def test_our_own_facets_are_documented_schemas() -> None:
    names = {json.loads(path.read_text())["$id"] for path in OWN.glob("*.json")}
    assert names == {"urn:muniment:openlineage:1:RunRunFacet", "urn:muniment:openlineage:1:VersionDatasetFacet"}


# --- what is told ----------------------------------------------------------------------------------------------------


def test_a_project_is_told_as_runs_with_what_they_used_and_logged(told: Scene) -> None:
    events = events_of(told, "local/uncategorized")
    runs = [
        (
            each["eventType"],
            each["job"]["name"],
            [data["name"].rpartition("/")[2] for data in each["inputs"]],
            [data["name"].rpartition("/")[2] for data in each["outputs"]],
        )
        for each in events
        if "run" in each
    ]
    assert runs == [
        ("START", "local/uncategorized/prep", [], []),
        ("COMPLETE", "local/uncategorized/prep", [], ["data:v0"]),
        ("START", "local/uncategorized/train", [], []),
        ("FAIL", "local/uncategorized/train", ["data:v0", "loose:v0"], ["net:v0"]),
        ("START", "local/uncategorized/run", [], []),
        ("RUNNING", "local/uncategorized/run", ["net:v0"], ["data:v0", "bad:v0", "worse:v0", "whole:v0"]),
    ]
    changes = [
        (
            each["dataset"]["name"].rpartition("/")[2],
            each["dataset"]["facets"]["lifecycleStateChange"]["lifecycleStateChange"],
        )
        for each in events
        if "dataset" in each
    ]
    assert changes == [("loose:v0", "CREATE"), ("bad:v0", "DROP"), ("worse:v0", "DROP"), ("whole:v0", "DROP")]


def test_what_is_gone_is_invalidated_and_not_missing(told: Scene) -> None:
    prov = told_of(told, "prov", "runs/again")
    labels = {name: each["prov:label"] for name, each in prov["entity"].items()}
    ended = {labels[each["prov:entity"]].rpartition("/")[2] for each in prov["wasInvalidatedBy"].values()}
    assert ended == {"bad:v0", "worse:v0", "whole:v0"}
    (purged,) = [each for each in prov["entity"].values() if each.get("mu:state") == "purged"]
    assert purged["prov:label"].endswith("worse:v0")
    assert "prov:wasInvalidatedBy" in told_of(told, "croissant", "worse:v0")
    assert "distribution" not in told_of(told, "croissant", "worse:v0")
    assert "muniment:invalidated" in told_of(told, "datapackage", "bad:v0")


def test_a_run_that_logged_known_content_made_another_copy_of_it(told: Scene) -> None:
    prov = told_of(told, "prov", "data:v0")
    data = f"mu:entity-{told.find('data:v0').version.version_id}"
    (same,) = prov["alternateOf"].values()
    assert same["prov:alternate2"] == data
    runs = {name: each["prov:label"].rpartition("/")[2] for name, each in prov["activity"].items()}
    made = {
        each["prov:entity"]: runs[each["prov:activity"]]
        for each in prov["wasGeneratedBy"].values()
        if "prov:activity" in each
    }
    assert (made[data], made[same["prov:alternate1"]]) == ("prepare", "again")


def test_an_erased_entry_is_told_without_its_name_or_digest(told: Scene) -> None:
    for format_ in ("croissant", "datapackage", "cyclonedx"):
        told_ = written(told, format_, "data:v0").decode()
        assert "[erased]#eeeeeeee" in told_
        assert CANARY not in told_
    assert (
        told_of(told, "prov", "data:v0")["entity"][f"mu:entity-{told.find('data:v0').version.version_id}"][
            "mu:erasedEntries"
        ]
        == 1
    )


def test_erased_names_are_told_as_erased_in_every_format(fresh: Scene, tmp_path: Path) -> None:
    ids = {name: fresh.find(name).version.version_id for name in ("net:v0", "data:v0")}
    run = fresh.views.find(RunRow, project_id=fresh.project.project_id, key="train")
    assert run is not None
    forget_words(fresh, "artifact.created.%", "run.started.%", "version.created.%")
    asked: list[tuple[str, Path]] = []
    for format_, found in FORMATS.items():
        for id_ in (*ids.values(), run.run_id) if "run" in found.kinds else ids.values():
            text = written(fresh, format_, id_).decode()
            assert "[erased]" in text
            assert not [word for word in ("net:", "/data", "train", "prep") if word in text], format_
        asked.append((format_, tmp_path / f"{format_}.json"))
        asked[-1][1].write_text(text)
    assert ask(*asked) == [[]] * len(FORMATS)
    names = [each["dataset"]["name"] for each in events_of(fresh, "local/uncategorized") if "dataset" in each]
    assert len(set(names)) == len(names)


def forget_words(scene: Scene, *types: str) -> None:
    """Destroy the words of events as a redaction does, and make the rows again."""
    with closing(sqlite3.connect(scene.store.config.home / "ledger.sqlite3")) as file:
        for each in types:
            file.execute("UPDATE events SET words = NULL, words_blind = NULL WHERE topic LIKE ?", (each,))
        file.commit()
    scene.store.ledger.rebuild()


def test_descriptions_are_told_until_they_are_forgotten(fresh: Scene) -> None:
    assert told_of(fresh, "croissant", "data:v0")["description"] == "what was measured"
    assert told_of(fresh, "cyclonedx", "net:v0")["metadata"]["component"]["description"] == "a net"
    fresh.store.vault.destroy(fresh.artifact("data").artifact_id)
    assert told_of(fresh, "croissant", "data:v0")["description"] == "[erased]"
    assert "what was measured" not in written(fresh, "datapackage", "data:v0").decode()


def test_a_bill_of_materials_names_files_card_and_what_it_was_made_from(told: Scene) -> None:
    bill = told_of(told, "cyclonedx", "net:v0")
    model = bill["metadata"]["component"]
    assert [each["name"] for each in model["components"]] == ["weights.bin"]
    names = {each["bom-ref"]: each["name"].rpartition("/")[2] for each in [model, *bill["components"]]}
    assert sorted(names[each["ref"]] for each in model["modelCard"]["modelParameters"]["datasets"]) == ["data", "loose"]
    made_from = {names[each["ref"]]: sorted(names[on] for on in each["dependsOn"]) for each in bill["dependencies"]}
    assert made_from["net"] == ["data", "loose"]
    assert bill["serialNumber"].replace("-", "").endswith(told.find("net:v0").version.version_id)


def test_tables_are_told_with_their_columns(told: Scene) -> None:
    (table,) = [each for each in told_of(told, "datapackage", "data:v0")["resources"] if each["type"] == "table"]
    assert table["path"] == "table.csv"
    assert [(each["name"], each["type"]) for each in table["schema"]["fields"]] == [
        ("id", "integer"),
        ("score", "number"),
        ("name", "string"),
        ("empty", "string"),
    ]
    (records,) = told_of(told, "croissant", "data:v0")["recordSet"]
    assert [each["dataType"] for each in records["field"]] == ["sc:Integer", "sc:Float", "sc:Text", "sc:Text"]


# --- PROV beyond its form --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["net:v0", "runs/again", "data:v0"])
def test_provenance_has_no_circle_and_no_effect_before_its_cause(told: Scene, name: str) -> None:
    prov = told_of(told, "prov", name)
    assert list(faults_in_time(prov)) == []
    assert circle_in(prov) is None


def test_a_circle_and_an_effect_before_its_cause_would_be_found(told: Scene) -> None:
    prov = told_of(told, "prov", "net:v0")
    made = {each["prov:entity"]: each for each in prov["wasGeneratedBy"].values()}
    own = made[f"mu:entity-{told.find('net:v0').version.version_id}"]
    used = next(each for each in prov["used"].values() if each["prov:activity"] == own["prov:activity"])
    prov["wasDerivedFrom"] = {
        "mu:x": {"prov:generatedEntity": used["prov:entity"], "prov:usedEntity": own["prov:entity"]}
    }
    assert circle_in(prov) is not None
    used["prov:time"] = "2001-01-01T00:00:00Z"
    assert list(faults_in_time(prov)) != []


def faults_in_time(prov: Any) -> Any:
    """Yield what PROV-CONSTRAINTS forbids: use before generation, after invalidation or outside its activity."""
    made = {each["prov:entity"]: each["prov:time"] for each in prov["wasGeneratedBy"].values()}
    ended = {each["prov:entity"]: each["prov:time"] for each in prov.get("wasInvalidatedBy", {}).values()}
    times = [(each, each["prov:time"]) for name in ("used", "wasGeneratedBy") for each in prov.get(name, {}).values()]
    for each, at in times:
        run = prov["activity"].get(each.get("prov:activity"), {})
        if not run.get("prov:startTime", "") <= at <= run.get("prov:endTime", "9"):
            yield f"{each} is outside of its run"
        if not made[each["prov:entity"]] <= at <= ended.get(each["prov:entity"], "9"):
            yield f"{each} is outside of the life of its entity"
    yield from (f"{name} ended before it was made" for name, at in ended.items() if at < made[name])


def circle_in(prov: Any) -> list[str] | None:
    """Return things that came of themselves, if there are such."""
    causes = defaultdict(set)
    for name, effect, cause in (
        ("used", "prov:activity", "prov:entity"),
        ("wasGeneratedBy", "prov:entity", "prov:activity"),
        ("wasDerivedFrom", "prov:generatedEntity", "prov:usedEntity"),
    ):
        for each in prov.get(name, {}).values():
            if effect in each and cause in each:
                causes[each[effect]].add(each[cause])
    done: set[str] = set()

    def walk(at: str, path: list[str]) -> list[str] | None:
        if at in path:
            return path
        if at in done:
            return None
        found = next((found for each in causes[at] if (found := walk(each, [*path, at]))), None)
        done.add(at)
        return found

    return next((found for each in list(causes) if (found := walk(each, []))), None)


# --- the same bytes --------------------------------------------------------------------------------------------------


def test_the_same_store_and_moment_give_the_same_bytes_wherever_it_runs(told: Scene) -> None:
    cases = [
        ("openlineage", "local/uncategorized"),
        ("prov", "net:v0"),
        ("cyclonedx", "net:v0"),
        ("croissant", "data:v0"),
    ]
    script = "import sys; from muniment.app.cli import main; [main(each.split()) for each in sys.argv[1:]]"
    commands = [f"export {format_} {name}" for format_, name in cases]
    outs = set()
    for zone, language, seed in (("UTC", "C", "1"), ("Asia/Kolkata", "de_DE.UTF-8", "2")):
        environ = os.environ | {
            "TZ": zone,
            "LC_ALL": language,
            "PYTHONHASHSEED": seed,
            "MUNIMENT_HOME": str(told.store.config.home),
        }
        done = subprocess.run([sys.executable, "-c", script, *commands], capture_output=True, check=True, env=environ)
        outs.add(done.stdout)
    here = b"".join(written(told, format_, name) for format_, name in cases)
    assert len(outs) == 1
    assert outs.pop() == here


def test_a_moment_exported_later_is_what_it_was_then(fresh: Scene) -> None:
    cases = [case for case in CASES if case[1] not in {"worse:v0", "bad:v0"}]
    at, then = fresh.seq, [written(fresh, *case) for case in cases]
    fresh.log("data", "other content", "best")
    fresh.log("newer", "later", run=fresh.run("later"))
    fresh.link("net:v0", "model/more", "staging")
    fresh.delete("loose:v0", delete_aliases=True)
    fresh.edit("net:v0", description="another", new_description=True)
    step(fresh, fresh.find("data:v0").version.version_id, versions.erase_entry, "f" * 32, "sub/notes.txt")
    assert [written(fresh, *case, at) for case in cases] == then
    assert [written(fresh, *case) for case in cases] != then


# --- asking for it ---------------------------------------------------------------------------------------------------


def test_an_unknown_format_a_wrong_kind_and_a_wrong_name_are_refused(told: Scene) -> None:
    with pytest.raises(InvalidValueError, match="there is no format 'yaml' — there are openlineage, prov"):
        written(told, "yaml", "net")
    with pytest.raises(InvalidValueError, match="croissant tells of a version, and 'runs/train' is a run"):
        written(told, "croissant", "runs/train")
    with pytest.raises(InvalidValueError, match="prov tells of a run or version"):
        written(told, "prov", "local/uncategorized")
    with pytest.raises(NotFoundError):
        written(told, "prov", "nothing:v0")
    with pytest.raises(InvalidValueError, match="prov tells of a run or version"):
        written(told, "prov", "0" * 32)
    by_id = written(told, "openlineage", told.project.project_id)
    assert by_id == written(told, "openlineage", "local/uncategorized")


def test_a_file_is_written_whole_or_not_at_all(told: Scene, tmp_path: Path) -> None:
    def broken() -> Any:
        yield b"half"
        raise NotFoundError

    with pytest.raises(NotFoundError):
        exports.save(broken(), tmp_path / "x.json")
    with pytest.raises(StorageError, match="cannot be written"):
        exports.save([b""], tmp_path / "nowhere" / "x.json")
    assert list(tmp_path.glob("*.json")) == []
    exports.save(exports.export(told.store, "prov", "net"), tmp_path / "x.json")
    assert (tmp_path / "x.json").read_bytes() == written(told, "prov", "net")


def test_a_long_project_is_written_as_it_is_read(told: Scene) -> None:
    chunks = exports.export(told.store, "openlineage", "local/uncategorized")
    assert json.loads(next(iter(chunks)))["eventType"] == "START"
