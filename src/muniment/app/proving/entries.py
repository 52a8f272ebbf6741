"""Proofs that a version holds an entry, or none of a path, with the proof of the event that made the version."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from attrs import frozen

from muniment.app import canonical, catalog
from muniment.app.files.download import manifest_of
from muniment.app.proving.proofs import Prover, shown
from muniment.app.store import Store
from muniment.app.subjects import address
from muniment.app.telling.history import as_of
from muniment.domain import base64
from muniment.domain.entry_proof import Block, EntryProof, ShownLeaf, prove
from muniment.domain.errors import InvalidValueError, NotFoundError, ProofError
from muniment.domain.fact import Shown
from muniment.domain.proof_file import InclusionFile
from muniment.domain.values import Digest

KIND: Final = "muniment-entry/v1"
CREATED: Final = "version.created.1"


@frozen
class EntryFile:
    """What is shown of the manifest, and that a version of its digest was made."""

    proof: EntryProof
    created: InclusionFile

    def verify(self) -> tuple[str, Shown]:
        """Say whether the version holds the entry, and show the event that made it; ProofError if neither is shown."""
        event = shown(self.created)
        if event.type != CREATED or (event.words or {}).get("digest") != self.proof.digest:
            msg = "the version that was made has another digest than the manifest that is shown"
            raise ProofError(msg)
        entry = self.proof.verify()
        if entry is None:
            return f"the version holds no {self.proof.path!r}", event
        size, ref = "unknown" if entry.size is None else entry.size, f", reference {entry.ref}" if entry.ref else ""
        return f"the version holds {entry.path!r}: size {size}, digest {entry.digest}{ref}", event

    def render(self) -> str:
        """Return the file."""
        proof = self.proof
        held = {
            "kind": KIND,
            "path": proof.path,
            "digest": proof.digest,
            "root": proof.root.hex(),
            "total": proof.total,
            "leaves": proof.leaves,
            "shown": [_leaf(each) for each in proof.shown],
            "created": self.created.render(),
        }
        return canonical.encode(held).decode() + "\n"

    @classmethod
    def parse(cls, text: str) -> EntryFile:
        """Read a file; InvalidValueError says what is wrong with it."""
        held = canonical.decode(text.removesuffix("\n").encode(), "the proof of an entry")
        try:
            leaves = tuple(map(_shown, held["shown"]))
            root, numbers = bytes.fromhex(held["root"]), (_number(held, "total"), _number(held, "leaves"))
            wanted = held["kind"] == KIND
            proof = EntryProof(_text(held, "path"), Digest(_text(held, "digest")), root, *numbers, leaves)
            created = InclusionFile.parse(held["created"])
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            if isinstance(error, InvalidValueError):
                raise
            msg = f"this is no proof of an entry of the form {KIND} — give it as it was written"
            raise InvalidValueError(msg) from error
        if not wanted:
            msg = f"this is no proof of an entry of the form {KIND} — give it as it was written"
            raise InvalidValueError(msg)
        return cls(proof, created)


def prove_entry(
    store: Store, text: str, path: str, *, at: str | int | None = None, note: str | None = None
) -> EntryFile:
    """Return the proof that a version holds an entry of this path, or none; it shows up to 128 rows beside it."""
    prover = Prover.of(store, note)
    seq = None if at is None else as_of(store, at)
    found = catalog.find(store.views, address(store, text), seq)
    if found.version.manifest is None:
        msg = f"the manifest of {text!r} was forgotten, so nothing about its entries can be proved"
        raise NotFoundError(msg)
    manifest = manifest_of(store, found)
    proof = prove(
        path,
        manifest.records,
        manifest.digest,
        lambda record: store.codec.decode(record, manifest.stored_in.get(record.rows), None),
    )
    return EntryFile(proof, prover.event(found.version.created_seq, words=True))


def _leaf(leaf: ShownLeaf) -> dict[str, Any]:
    blocks = [
        {"number": each.number, "rows": base64.encode(each.rows), "hashes": [*map(base64.encode, each.hashes)]}
        for each in leaf.blocks
    ]
    return {
        "number": leaf.number,
        "first": leaf.first,
        "count": leaf.count,
        "hash": leaf.hash.hex(),
        "hashes": [*map(base64.encode, leaf.hashes)],
        "blocks": blocks,
    }


def _shown(held: Mapping[str, Any]) -> ShownLeaf:
    blocks = tuple(Block(_number(each, "number"), _bytes(each["rows"]), _hashes(each)) for each in held["blocks"])
    number, count = _number(held, "number"), _number(held, "count")
    return ShownLeaf(number, _text(held, "first"), count, bytes.fromhex(held["hash"]), _hashes(held), blocks)


def _text(held: Mapping[str, Any], name: str) -> str:
    if not isinstance(held[name], str):
        raise TypeError(name)
    return str(held[name])


def _number(held: Mapping[str, Any], name: str) -> int:
    if type(held[name]) is not int or held[name] < 0:
        raise TypeError(name)
    return int(held[name])


def _hashes(held: Mapping[str, Any]) -> tuple[bytes, ...]:
    return tuple(map(_bytes, held["hashes"]))


def _bytes(text: str) -> bytes:
    content = base64.decode(text)
    if content is None:
        msg = "a part of the proof is no base64"
        raise InvalidValueError(msg)
    return content
