"""What the rules need from the world: one protocol per kind of technology, its contract in its docstring."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO, Literal, Protocol, TypeAlias, TypeVar

from attrs import field, frozen

from muniment.domain.decider import Decider
from muniment.domain.evidence import Check, CopyKind, Search
from muniment.domain.manifest import Entry, Leaf, LeafRecord
from muniment.domain.proof import LeafContent
from muniment.domain.rows import Cell, Change, Made, Referring, Row
from muniment.domain.terms import Terms
from muniment.domain.turn import Turns
from muniment.domain.values import (
    Audit,
    CommandId,
    Digest,
    EventId,
    Json,
    Micros,
    OrganisationId,
    Personal,
    PrincipalId,
    RunId,
    SlotId,
    StreamId,
)

R = TypeVar("R", bound=Row)
S = TypeVar("S")
E = TypeVar("E")


# --- blobs -----------------------------------------------------------------------------------------------------------


@frozen
class BlobSource:
    """Bytes to put: *content* itself, or the file at *path*, from its byte *start* on if that is not ``None``.

    With ``movable`` the store may rename the file into place instead of copying it, and take it as ``digest`` says;
    a file that holds the bytes of several blobs (then each has a *start*) once it has been given all of them.
    With ``linkable`` the file is promised not to change, so that the store may give it a second name.
    """

    digest: Digest
    size: int
    content: bytes | None = None
    path: str | None = None
    movable: bool = False
    start: int | None = None
    linkable: bool = False


@frozen
class BlobResult:
    """What became of one blob of a batch: ``error`` is ``None`` if it went well; ``done`` tells if anything was done.

    ``done`` is false for a put of what was there already and for a delete of what was absent. Of a delete, *copies*
    counts what was removed, and *rewritten* tells that the blob shared a pack with others, which was made anew.
    """

    digest: Digest
    done: bool = True
    error: Exception | None = None
    copies: int = field(default=0, eq=False)
    rewritten: bool = field(default=False, eq=False)


class BlobStore(Protocol):
    """Bytes named by their SHA-256.

    Putting is atomic and idempotent per blob: a reader sees all of it or none, and it is durable once its result is
    yielded. Bytes that do not match their digest are refused (CorruptError). Results come per item, in any order; one
    item's failure (StorageError, StorageFullError) does not stop the others. Reading what is absent is
    NotFoundError. ``open`` streams without checking; ``get`` and whoever streams must check the digest.
    """

    def put_many(self, blobs: Iterable[BlobSource]) -> Iterator[BlobResult]:
        """Store blobs, yielding a result per item."""

    def get(self, digest: Digest) -> bytes:
        """Return a small blob whole, verified; CorruptError if its bytes do not match."""

    def open(self, digest: Digest, start: int = 0, length: int | None = None) -> BinaryIO:
        """Open the bytes from *start*, *length* of them or all the rest, for one sequential read."""

    def missing(self, digests: Collection[Digest]) -> set[Digest]:
        """Return those of *digests* that are not stored."""

    def delete_many(self, digests: Iterable[Digest]) -> Iterator[BlobResult]:
        """Delete blobs, yielding a result per item; an absent one is a result with ``done=False``."""

    def list(self) -> Iterator[tuple[Digest, int]]:
        """Yield the digest and size in bytes of every stored blob, in the order of the digests."""

    def sweep(self, older_than: Micros) -> int:
        """Remove what interrupted puts left behind before *older_than*; return the bytes freed."""

    def verify(self) -> Iterator[str]:
        """Yield a line for each thing found wrong about how blobs are kept, apart from the bytes of blobs."""

    def search(self, digests: Collection[Digest]) -> Search:
        """Look for copies of blobs in what the bytes lie in: no index and no cache is asked, nothing is remembered.

        Old versions, delete markers and unfinished uploads count as copies too.
        """


# --- objects ---------------------------------------------------------------------------------------------------------


@frozen
class ObjectSource:
    """An object to put: its name, its size, and its bytes, which are *content* or the file at *path*.

    With ``movable`` the store may rename the file into place instead of copying it, with ``linkable``, because it is
    promised not to change, give it a second name. ``digest`` is the SHA-256 of the bytes where it is known.
    """

    name: str
    size: int
    content: bytes | None = None
    path: str | None = None
    movable: bool = False
    digest: Digest | None = None
    linkable: bool = False


@frozen
class StoredObject:
    """An object as a listing shows it: its name, its size in bytes, and when it was written."""

    name: str
    size: int
    written_at: Micros


@frozen
class ObjectResult:
    """What became of one object of a batch: ``error`` is ``None`` if it went well; ``done`` tells if anything was done.

    ``done`` is false for a put of what was there already and for a delete of what was absent. Of a delete, *copies*
    counts what was removed: the object, its versions and markers, its unfinished uploads.
    """

    name: str
    done: bool = True
    error: Exception | None = None
    copies: int = field(default=0, eq=False)


@frozen
class Copies:
    """What a backend keeps under some names, and *by* what that was seen; names of which there is nothing are absent.

    *hidden* names are those of which something is kept that nobody can read by name.
    """

    found: Mapping[str, tuple[CopyKind, ...]]
    by: Check
    hidden: frozenset[str] = frozenset()


class ObjectStore(Protocol):
    """Named bytes that never change: what blobs are kept in. Names are ASCII parts joined by ``/``, without ``..``.

    A put is atomic and only creates: a reader sees all of the object or none, it is durable once its result is yielded,
    of several at once one is ``done``. An object of that name and size stays (``done=False``); one of another size is
    what a failed put left, and is replaced. Bytes of another size than announced are refused (CorruptError), bytes of
    another digest too wherever they are copied or the backend can check them. A deleted object is gone with all that a
    backend keeps of it (versions, markers); what cannot go yet is an error that says until when. Results come per item,
    in any order; one item's failure (StorageError, StorageFullError) does not stop the others. Reading what is absent
    is NotFoundError; a body that ends too early is StorageError. Several threads and processes may use it at once.
    """

    def put_many(self, objects: Iterable[ObjectSource]) -> Iterator[ObjectResult]:
        """Create objects, yielding a result per item."""

    def read(self, name: str, start: int, length: int) -> bytes:
        """Return up to *length* bytes from *start*, in one request; fewer only where the object ends.

        A negative *start* counts from the end, and from the beginning if the object is shorter.
        """

    def open(self, name: str, start: int = 0, length: int | None = None) -> BinaryIO:
        """Open the bytes from *start*, *length* of them or all the rest, for one sequential read."""

    def sizes(self, names: Collection[str]) -> dict[str, int]:
        """Return the sizes of those of *names* that are there, in few requests: many are better listed than asked."""

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """Yield the objects whose names begin with *prefix*, in the order of their names."""

    def delete_many(self, names: Iterable[str]) -> Iterator[ObjectResult]:
        """Delete objects, yielding a result per item; an absent one is a result with ``done=False``."""

    def copies(self, names: Collection[str], prefix: str) -> Copies:
        """Return everything that the backend keeps under exactly these *names*, asking it anew.

        That is the object, every version and delete marker of it, every unfinished upload. *hidden* are then all names
        below *prefix* of which there are old versions and no present one.
        """

    def sweep(self, older_than: Micros) -> int:
        """Remove what interrupted puts left behind before *older_than*; return the bytes freed."""


class ManifestCodec(Protocol):
    """The stored form of manifests, apart from the canonical rows that the version's digest is over.

    Equal leaves have equal bytes. Decoding checks the rows against the hash of the leaf, refuses absurd sizes, and
    raises CorruptError, naming the paths concerned.
    """

    def encode(self, leaf: Leaf) -> tuple[bytes, bytes | None]:
        """Return the stored forms of the rows and of the annex, ``None`` where no entry has one."""

    def decode(self, record: LeafRecord, rows: bytes, annex: bytes | None) -> tuple[Entry, ...]:
        """Return the entries of a leaf, verified."""

    def encode_index(self, records: Sequence[LeafRecord]) -> bytes:
        """Return the stored form of the list of leaves."""

    def decode_index(self, data: bytes) -> tuple[LeafRecord, ...]:
        """Return the list of leaves."""


# --- references, and files that did not change -----------------------------------------------------------------------


@frozen
class ReferencedObject:
    """One object behind a reference: where it is, what identifies its content, and how large it is (``None``: unknown).

    ``path`` is relative to the referenced location, ``""`` for the location itself. ``digest`` is what the store calls
    it (ETag) or ``sha256:<hex>`` where it was hashed; ``annex`` holds what is needed to fetch this very content again.
    """

    path: str
    uri: str
    digest: str
    size: int | None = None
    annex: Mapping[str, str] = field(factory=dict)


class ReferenceStore(Protocol):
    """Objects that stay where they are; one adapter per URI scheme.

    A location that is not there is NotFoundError, one that cannot be read StorageError; more than *limit* objects is
    InvalidValueError, never a silent cut.
    """

    @property
    def schemes(self) -> tuple[str, ...]:
        """The URI schemes that this adapter answers for."""

    def resolve(self, uri: str, *, checksum: bool, limit: int) -> Iterator[ReferencedObject]:
        """Yield the objects at or below *uri*; with ``checksum=False`` the location alone, its URI as digest."""

    def name_of(self, uri: str) -> str:
        """Return what the last part of a URI is called, ``""`` if there is none; nobody is asked."""

    def fetch(self, found: ReferencedObject) -> BinaryIO:
        """Open the referenced content, the very version when the store keeps versions."""


class FileStat(Protocol):
    """What the file system says about a file; an ``os.stat_result`` is one."""

    @property
    def st_dev(self) -> int:
        """The file system it lies on."""

    @property
    def st_ino(self) -> int:
        """Its number there."""

    @property
    def st_size(self) -> int:
        """Its length in bytes."""

    @property
    def st_mtime_ns(self) -> int:
        """When its content changed last, in nanoseconds since 1970."""

    @property
    def st_ctime_ns(self) -> int:
        """When anything about it changed last, in nanoseconds since 1970."""


FileDigests: TypeAlias = tuple[Digest, str | None]
"""The SHA-256 of a file and, where it is known, its MD5, both in hexadecimal."""


class FileMemory(Protocol):
    """What files hashed to when they were last read, so that unchanged ones need not be read again.

    Only a cache: it may forget, and where it fails it knows nothing. It never answers for a file whose times are so
    young that a later change could have left them as they are.
    """

    def get_many(self, files: Mapping[str, FileStat]) -> dict[str, FileDigests]:
        """Return the digests of those absolute paths that look exactly as they did when they were hashed."""

    def put_many(self, files: Mapping[str, tuple[FileStat, FileDigests]], seen_at: Micros) -> None:
        """Remember digests of files that were read after *seen_at*, when the first of them was looked at."""

    def forget(self) -> None:
        """Forget all files."""


# --- the vault -------------------------------------------------------------------------------------------------------


@frozen
class SlotDraft:
    """A personal value on its way into the vault: who owns its key, and which field it fills."""

    owner: str
    field: str
    value: Json


class Vault(Terms, Protocol):
    """Personal values, encrypted, each in a slot that is written once.

    ``put_many`` is atomic. A destroyed slot or key reads as absent from the result of ``get_many``: the caller shows
    it as erased. A slot whose bytes were changed, or moved from another slot, is CorruptError. A wrong or missing key
    is KeyFileError.
    """

    def put_many(self, drafts: Sequence[SlotDraft]) -> list[Personal[Any]]:
        """Store values in new slots and return what events keep of them, in the same order."""

    def get_many(self, slots: Collection[SlotId]) -> dict[SlotId, Json]:
        """Return the values of those slots that can still be read."""

    def destroy(self, owner: str) -> int:
        """Destroy an owner's key and slots for good; return how many slots went.

        A key that comes back with an old file of keys is destroyed again when the vault is opened.
        """

    def destroyed(self) -> set[str]:
        """Return the owners of whom ``destroy`` destroyed a key; who was taken out by hand is not among them."""

    def destroy_slots(self, slots: Collection[SlotId]) -> int:
        """Destroy single values for good; return how many went."""

    def sweep(self, referenced: Callable[[Collection[SlotId]], set[SlotId]], older_than: Micros) -> int:
        """Remove slots written before *older_than* that *referenced* does not return; return how many went."""


# --- the ledger ------------------------------------------------------------------------------------------------------


@frozen
class Context:
    """Who acts, for whom, and why this command exists: the envelope of every event it leads to."""

    organisation: OrganisationId
    actor: PrincipalId
    source: str
    on_behalf_of: PrincipalId | None = None
    run: RunId | None = None
    request: str | None = None
    correlation: str | None = None
    causation: EventId | None = None


@frozen
class Command:
    """One act asked for: its id makes a retry harmless, *request* is what a retry must repeat."""

    id: CommandId
    context: Context
    request: Json = None
    target: str | None = None


@frozen
class Append:
    """Events for one stream, guarded by the position its last event is expected to have (0: none yet)."""

    stream: StreamId
    expected: int
    events: tuple[object, ...]


@frozen
class Outcome:
    """What a command decided: the events, and the JSON answer that a retry gets too."""

    appends: tuple[Append, ...] = ()
    answer: Json = None


@frozen
class Receipt:
    """What became of a command; ``first_seq`` and ``last_seq`` are ``None`` if it led to no event."""

    answer: Json
    first_seq: int | None = None
    last_seq: int | None = None
    replayed: bool = False


@frozen
class Recorded:
    """An event as the ledger holds it."""

    seq: int
    event_id: EventId
    recorded_at: Micros
    organisation: OrganisationId
    stream: StreamId
    position: int
    type: str
    audit: Audit
    outcome: Literal["ok", "denied", "failed"]
    actor: PrincipalId
    on_behalf_of: PrincipalId | None
    run: RunId | None
    request: str | None
    correlation: str | None
    causation: EventId | None
    command: CommandId
    source: str
    event: Any


@frozen
class Head:
    """How long the ledger is and the root of its Merkle tree; ``recorded_at`` is that of the last event."""

    size: int
    root: bytes
    recorded_at: Micros


@frozen
class Engine:
    """What keeps a ledger: its name and version, and what time it is there, if that is another machine."""

    name: str
    now: Micros | None = None


class Views(Protocol):
    """The rows of the projections, as of now or as they were after event *at*.

    Rows are found by equality on columns and come in the order of one column, after (not including) the row whose
    order column has the value *after*. Every combination used must be a key, a unique set or a lookup of the table:
    anything else is a programming error (ValueError).
    """

    def find(self, kind: type[R], /, *, at: int | None = None, **equal: Cell) -> R | None:
        """Return the one row whose key or unique columns have these values."""

    def select(
        self,
        kind: type[R],
        /,
        *,
        order: str,
        at: int | None = None,
        after: Cell = None,
        limit: int | None = None,
        descending: bool = False,
        **equal: Cell,
    ) -> list[R]:
        """Return rows by a lookup of the table, in its order."""

    def gather(
        self, kind: type[R], column: str, values: Collection[Cell], /, *, at: int | None = None, **equal: Cell
    ) -> list[R]:
        """Return the rows of many values of one column at once, in any order: see ``find`` and ``select`` for which.

        *column* with *equal* is the key, or what a lookup asks to be equal; a value of ``None`` finds nothing.
        """

    def made_from(self, version_ids: Sequence[str], /, *, at: int | None = None) -> Made:
        """Return what runs logged that used some of these versions; of those that a run used, at least the first."""

    def referring_to(self, version_ids: Sequence[str], /, *, at: int | None = None) -> Referring:
        """Return the versions that refer to some of these."""

    def count(self, kind: type[Row], /, *, order: str, at: int | None = None, **equal: Cell) -> int:
        """Return how many rows a lookup has."""


class Transaction(Protocol):
    """What a decision may look at, inside the write transaction that will hold its events."""

    now: Micros
    views: Views
    scratch: Scratch

    def load(self, decider: Decider[S, E], stream: StreamId) -> tuple[S, int]:
        """Return the state of a stream and the position of its last event (0: none)."""

    def position(self, stream: StreamId) -> int:
        """Return the position of a stream's last event (0: none)."""


Decide: TypeAlias = Callable[[Transaction], Outcome]
Fold: TypeAlias = Callable[[Recorded], Sequence[Change]]
"""What a projection is: one event to the row changes it causes."""


class Scratch(Protocol):
    """Rows that are not facts: leases, drafts, condemned blobs. Each may expire; expired ones read as absent.

    Inside a transaction changes are part of it; reading through the ledger sees what was committed.
    """

    def get(self, kind: str, key: str) -> Json | None:
        """Return the value, or ``None``."""

    def put(self, kind: str, key: str, value: Json, expires_at: Micros | None = None) -> None:
        """Set the value."""

    def delete(self, kind: str, key: str) -> None:
        """Forget the value, if there is one."""

    def items(self, kind: str, prefix: str = "") -> list[tuple[str, Json]]:
        """Return keys with this prefix and their values, in the order of the keys."""


class Ledger(Turns, Protocol):
    """The append-only record of everything that happened, with the projections' rows beside it.

    ``transact`` runs *decide* under the one write lock and commits its events, their Merkle leaves, the changed rows
    and the command's answer in one transaction: all or nothing, durable on return, in dense ``seq`` order. A command
    id seen before with an equal request gets the first answer (or the first refusal) again; with another request
    CommandReusedError. A RuleError from *decide* is recorded as a ``Denied`` event and raised again. An append whose
    expected position is wrong is ConflictError. *decide* must be quick and do no I/O of its own; it may run more than
    once. A backend that fails is StorageError, a full disk StorageFullError.
    """

    origin: str

    def transact(self, command: Command, decide: Decide) -> Receipt:
        """Decide and append."""

    def work(self, act: Callable[[Transaction], S]) -> S:
        """Change scratch rows under the write lock, without events."""

    @property
    def views(self) -> Views:
        """The committed rows."""

    @property
    def scratch(self) -> Scratch:
        """The committed scratch rows, for reading."""

    def head(self) -> Head:
        """Return size and root as committed now."""

    def root(self, size: int) -> bytes:
        """Return the root of the tree over the first *size* leaves; NotFoundError if there are fewer."""

    def subtrees(self, level: int, first: int, last: int) -> Sequence[bytes]:
        """Return the hashes of complete subtrees of ``256 ** level`` leaves, from number *first* (0) to before *last*.

        Level 0 are the leaves. Those that are not there are left out.
        """

    def leaf(self, seq: int) -> LeafContent:
        """Return what the leaf of an event stands for; NotFoundError if there is no such event."""

    def read(
        self, *, after: int = 0, until: int | None = None, stream: StreamId | None = None, limit: int | None = None
    ) -> Iterator[Recorded]:
        """Yield events in the order of ``seq``, after *after* and up to *until* inclusive, without loading them all."""

    def at(self, moment: Micros) -> int:
        """Return the ``seq`` of the last event recorded at or before *moment* (0: none)."""

    def engine(self) -> Engine:
        """Return what keeps the ledger."""

    def rebuild(self) -> int:
        """Make all rows again from the events, in one transaction; return how many events were folded."""

    def dump(self) -> Iterator[bytes]:
        """Yield every row of every projection in a canonical form, for comparing two ledgers byte by byte."""

    def verify(self) -> Iterator[str]:
        """Check every event against its leaf, the leaves against the head, the rows against a fresh fold.

        Yields a line for each fault found, naming the ``seq``.
        """

    def close(self) -> None:
        """Let go of files and connections."""
