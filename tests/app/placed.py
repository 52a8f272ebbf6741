"""A store whose teams bring their own places, in memory, and short words for what is kept where."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import cast

from attrs import define

from muniment.app import catalog, directory, names, storage
from muniment.app.catalog import Found
from muniment.app.files.download import download
from muniment.app.files.staging import Staging
from muniment.app.log_artifact import Draft, Logged
from muniment.app.manifests import Written
from muniment.app.store import Store
from muniment.app.upload import log_contents
from muniment.domain.ports import BlobStore
from muniment.domain.rows import ProjectRow
from muniment.domain.team import StorageGathered, StorageSet
from muniment.domain.values import Digest

A, B, C = "s3://bucket-a", "s3://bucket-b/prefix", "s3://bucket-c"


@define
class Placed:
    """Two teams, ``red`` and ``blue``, with a project ``p`` each."""

    store: Store
    folder: Path

    @classmethod
    def on(cls, store: Store, folder: Path) -> Placed:
        """Make the teams."""
        for team in ("red", "blue"):
            directory.create_team(store, team)
            directory.create_project(store, team, "p")
        return cls(store, folder)

    def project(self, team: str) -> ProjectRow:
        return directory.project(self.store.views, team, "p")

    def draft(self, name: str, written: Written) -> Draft:
        return Draft(name, "dataset", written.digest, written.manifest, written.size, written.entries)

    def log(self, team: str, text: str, name: str = "data") -> Logged:
        """Log a file of this text, and one that all versions share."""
        with Staging(directory.seen_by(self.store, team)) as staging:
            staged = [staging.add_bytes("shared.txt", b"shared"), staging.add_bytes("text.txt", text.encode())]
            return log_contents(self.store, self.project(team), staged, lambda written: self.draft(name, written))

    def find(self, text: str) -> Found:
        where = names.parse(text, entity="red", project="p", organisation="local")
        return catalog.find(self.store.views, where)

    def read(self, text: str) -> str:
        """Download a version and return the text of its file."""
        root = self.folder / "out"
        shutil.rmtree(root, ignore_errors=True)
        download(self.store, self.find(text), root)
        assert (root / "shared.txt").read_bytes() == b"shared"
        return (root / "text.txt").read_text()

    def move(self, team: str, place: str | None) -> None:
        storage.set_place(self.store, team, place)

    def at(self, place: str | None) -> BlobStore:
        return self.store.blobs_at(place)

    def held(self, place: str | None) -> set[Digest]:
        """Return what lies in a place."""
        return {digest for digest, _ in self.at(place).list()}

    def needed(self, text: str) -> set[Digest]:
        """Return what a version needs."""
        from muniment.app.files.download import manifest_of  # noqa: PLC0415 (used by few tests)

        return set(manifest_of(self.store, self.find(text)).blobs())

    def events(self) -> list[object]:
        """Return what happened to the places of teams."""
        found = [recorded.event for recorded in self.store.ledger.read()]
        return [cast("object", event) for event in found if isinstance(event, StorageSet | StorageGathered)]
