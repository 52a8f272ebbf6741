"""How far an artifact is on its way: a draft, on its way into the store, or a version of it."""

from __future__ import annotations

import copy
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING, Self

from attrs import define, field

from muniment.app import catalog, runs
from muniment.app.files.download import manifest_of
from muniment.app.sdk import session
from muniment.app.sdk.contents import Contents
from muniment.app.sdk.errors import UsageError, WaitTimeoutError, as_comm_error, finalized, not_logged
from muniment.app.store import Store
from muniment.domain.rows import OrganisationRow, TagRow
from muniment.domain.values import ERASED_TEXT, INHERIT, Json, Ttl, TtlRule
from muniment.domain.version import State

if TYPE_CHECKING:
    from muniment.app.catalog import Found
    from muniment.app.manifests import Manifest


@define
class Said:
    """What is said about a version and can be changed; *seq* is the event up to which it was read."""

    description: str | None = None
    metadata: dict[str, Json] = field(factory=dict)
    aliases: list[str] = field(factory=list)
    tags: list[str] = field(factory=list)
    ttl: Ttl = INHERIT
    seq: int = 0

    @classmethod
    def read(cls, store: Store, found: Found, at: int | None) -> Said:
        """Read what is said about a version, as of now or of an event."""
        seq = store.ledger.head().size if at is None else at
        version = found.version
        slots = {slot for slot in (version.description, version.metadata) if slot is not None}
        values = store.vault.get_many(slots) if slots else {}
        tags = store.views.select(TagRow, at=at, owner_id=version.version_id, order="tag")
        return cls(
            description=None if version.description is None else values.get(version.description, ERASED_TEXT),
            metadata={} if version.metadata is None else dict(values.get(version.metadata, {})),
            aliases=catalog.all_aliases(store.views, found, at),
            tags=[row.tag for row in tags if row.tag is not None],
            ttl=Ttl(TtlRule(version.ttl_rule), version.ttl_micros),
            seq=seq,
        )

    def copy(self) -> Said:
        """Return a copy that changes do not reach."""
        return copy.deepcopy(self)


class Stateful:
    """What all parts of an artifact share: its draft or its version, and what is said about it."""

    _store: Store | None = None
    _found: Found | None = None
    _at: int | None = None
    _contents: Contents | None = None
    _manifest: Manifest | None = None
    _pending: Future[None] | None = None
    _finalized = False
    _nowhere = False
    _said: Said | None = None
    _seen: Said | None = None
    _handed: Said | None = None
    _md5 = False

    # --- the states ---------------------------------------------------------------------------------------------------

    def is_draft(self) -> bool:
        """Whether the artifact is not logged yet."""
        return self._found is None

    @property
    def state(self) -> str:
        """How far the artifact is: ``PENDING``, ``COMMITTED``, ``DELETED`` or ``GARBAGE_COLLECTED``."""
        if self._found is None:
            return "PENDING"
        names = {State.COMMITTED: "COMMITTED", State.DELETED: "DELETED"}
        return names.get(State(self._found.version.state), "GARBAGE_COLLECTED")

    def finalize(self) -> None:
        """Let the content change no more."""
        self._finalized = True

    def wait(self, timeout: float | None = None) -> Self:
        """Wait until the artifact is logged; what kept it from being logged is raised here."""
        if self._found is not None or self._nowhere:
            return self
        pending = self._pending
        if pending is None:
            self._version("wait")
        elif not wait([pending], timeout).done:
            msg = f"Artifact upload wait timed out, failed to fetch Artifact response after {timeout} seconds"
            raise WaitTimeoutError(msg)
        else:
            pending.result()
        return self

    def is_waiting(self) -> bool:
        """Whether the artifact was handed over to be logged, which it is not yet."""
        return self._found is None and (self._pending is not None or self._nowhere)

    def stand_still(self) -> None:
        """Wait until the artifact is logged or has failed to be."""
        if self._pending is not None:
            wait([self._pending])

    def settle(self, store: Store, found: Found) -> None:
        """Become the version that was logged; what was changed since it was handed over waits for ``save()``."""
        if self._contents is not None:
            self._contents.close()
        handed, changed = self._handed, self._said
        self._said = self._seen = self._handed = None
        self._store, self._found, self._contents, self._finalized = store, found, None, True
        if handed is not None and changed is not None and changed != handed:
            for name in ("description", "metadata", "ttl"):
                if getattr(changed, name) != getattr(handed, name):
                    setattr(self.said, name, getattr(changed, name))

    # --- guards -------------------------------------------------------------------------------------------------------

    def _version(self, name: str) -> Found:
        """Return the version; ArtifactNotLoggedError if this is a draft."""
        if self._found is None:
            raise not_logged(name, self)
        return self._found

    def _readable(self, name: str) -> Found:
        """Return the version to be taken out; CommError if the registry it was reached through forbids it."""
        found = self._version(name)
        with as_comm_error():
            runs.permit_download(self.store, found)
        return found

    def _draft(self, name: str) -> Contents:
        """Return the content to be changed; ArtifactFinalizedError if it changes no more."""
        if self._contents is None or self._finalized:
            raise finalized(name, self)
        return self._contents

    def _changeable(self, name: str) -> Found:
        """Return the version to be changed; UsageError if this is how it was at another time."""
        found = self._version(name)
        if self._at is not None:
            msg = f"Artifact.{name}: this is the artifact as it was at event {self._at} — load it without as_of"
            raise UsageError(msg)
        return found

    @property
    def store(self) -> Store:
        """The store that the artifact is in, or will be logged to."""
        if self._store is None:
            return session.store()
        return self._store

    # --- what is known ------------------------------------------------------------------------------------------------

    @property
    def said(self) -> Said:
        """What is said about the artifact, with changes that are not saved."""
        if self._said is None:
            if self._found is None:
                self._said = Said()
            else:
                self._seen = Said.read(self.store, self._found, self._at)
                self._said = self._seen.copy()
        return self._said

    @property
    def seen(self) -> Said:
        """What was said about the version when it was looked at."""
        said = self.said
        return said if self._seen is None else self._seen

    def held(self) -> Manifest | Contents:
        """Return the entries: of the draft, or of the version."""
        if self._contents is not None:
            return self._contents
        if self._manifest is None:
            self._manifest = manifest_of(self.store, self._version("manifest"))
        return self._manifest

    def owner_name(self) -> str:
        """Return the name of the organisation whose registry the artifact was reached through."""
        found = self._version("entity")
        if found.registry is None:
            return found.team.name or ERASED_TEXT
        row = self.store.views.find(OrganisationRow, organisation_id=found.registry.organisation_id)
        return row.name or ERASED_TEXT if row else ERASED_TEXT
