"""Words planted in every input are gone from every byte once each step of forgetting was done, and not before."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Final

import pytest

import muniment
from muniment.app import bootstrap, catalog, lifecycle, names, scrub
from muniment.app.collecting import collect
from muniment.app.config import load
from muniment.app.personal import personal_slots
from muniment.app.scan import scan
from muniment.app.store import Store
from muniment.domain.values import SlotId
from tests.redacting import redact, telling

PLAIN: Final = ("name", "alias", "tag", "path", "reference", "bytes", "member")
SEALED: Final = ("description", "key", "value", "config", "notes", "login", "reason")
"""Personal values are encrypted, so that no scan finds them; whether they can be read is asked of the vault."""
WORDS: Final = {each: f"canary-{each}-{number:02}-5d81" for number, each in enumerate((*PLAIN, *SEALED, "file"))}


LEFT: Final[dict[str | None, set[str]]] = {
    None: set(),
    "collect": {"path", "reference", "bytes", "member"},
    "redact": {"name", "alias", "tag"},
    "destroy": set(),
    "scrub": {"name", "alias", "tag"},
}
"""What is found where one step was left out."""


def ingest(home: Path, outside: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Bring every word into a store, each by another input."""
    said = WORDS
    monkeypatch.setenv("MUNIMENT_ACTOR", said["login"])
    monkeypatch.setenv("MUNIMENT_GRACE", "0s")
    outside.mkdir()
    (outside / said["file"]).write_text(f"text with {said['bytes']} in it")
    with zipfile.ZipFile(outside / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inner.txt", f"{said['member']} " * 20)
    run = muniment.init(project="p", notes=said["notes"], config={"who": said["config"]})
    artifact = muniment.Artifact(said["name"], "dataset", said["description"], {said["key"]: said["value"]})
    artifact.add_file(str(outside / said["file"]), name=f"{said['path']}/a.txt")
    artifact.add_file(str(outside / "a.zip"))
    artifact.add_reference(f"https://example.org/{said['reference']}", name="ref", checksum=False)
    run.log_artifact(artifact, aliases=[said["alias"]], tags=[said["tag"]]).wait()
    run.finish()
    return bootstrap.open_store(load(home=str(home)))


def found_in(home: Path) -> set[str]:
    found = scan(list(WORDS.values()), [str(home)])
    assert found.unread == []
    return {list(WORDS)[hit.canary - 1] for hit in found.hits}


def slots(store: Store) -> set[SlotId]:
    return {slot for recorded in store.ledger.read() for slot in personal_slots(recorded.event)}


def forget(store: Store, without: str | None) -> None:
    """Do all that makes a store forget, but for one step."""
    address = names.parse(f"{WORDS['name']}:v0", entity="local", project="p", organisation="local")
    version = catalog.find(store.views, address)
    lifecycle.delete(store, version, delete_aliases=True, reason=WORDS["reason"])
    seqs, owners = telling(store), [owner for owner, _ in store.vault.data_keys()]  # type: ignore[attr-defined]
    if without != "collect":
        report = collect.act(store)
        assert (report.purged, report.failed) == (1, ())
    if without != "redact":
        redact(store, seqs)
    if without != "destroy":
        for owner in owners:
            store.vault.destroy(owner)
    if without != "scrub":
        assert scrub.scrub(store) == ()


@pytest.mark.parametrize("without", [None, "collect", "redact", "destroy", "scrub"])
def test_nothing_is_left_unless_a_step_is_left_out(
    without: str | None, own_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ingest(own_home, tmp_path / "outside", monkeypatch)
    assert found_in(own_home) - {"file"} == set(PLAIN)
    forget(store, without)
    readable = set(map(str, store.vault.get_many(slots(store)).values()))
    assert bool(readable) == (without == "destroy")
    assert found_in(own_home) == LEFT[without]
    assert list(store.ledger.verify()) == []
    store.ledger.close()
