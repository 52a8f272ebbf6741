#!/usr/bin/env python3
"""Check what a Muniment ledger exported, with Python's standard library alone (3.9 or newer).

usage: verify_muniment.py PATH... --key KEY [--witness KEY]... [--chain FILE] [--consistency FILE]

PATH is the folder of a bundle, a .tlog-proof, a proof of a fact or of an entry, or a checkpoint. KEY is the verifier
key of the ledger, which you must have from its owner by another way. Each PATH gets a verdict; the exit status is 0
only if all of them hold.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import re
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

HEADER = "c2sp.org/tlog-proof@v1"
ROTATION = "muniment-key-rotation/v1"
BUNDLE = "muniment-bundle/v1"
FACT = "muniment-fact/v1"
ENTRY = "muniment-entry/v1"
OWN = {"manifest.json", "checkpoint.note", "report.tlog-proof", "README.txt", "verify_muniment.py", "verify.sh"}
NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")


class Refused(Exception):
    """What was given does not hold; the text says why."""


def need(holds, why):
    """Refuse unless something holds."""
    if not holds:
        raise Refused(why)


# --- Ed25519 (RFC 8032, section 5.1.7), slow and without secrets ------------------------------------------------------

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT_OF_MINUS_ONE = pow(2, (P - 1) // 4, P)


def _add(p, q):
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def _times(scalar, point):
    found = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            found = _add(found, point)
        point = _add(point, point)
        scalar >>= 1
    return found


def _point(raw):
    y = int.from_bytes(raw, "little")
    sign, y = y >> 255, y & (1 << 255) - 1
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT_OF_MINUS_ONE % P
    if (x * x - square) % P or (x == 0 and sign):
        return None
    x = P - x if x & 1 != sign else x
    return x, y, 1, x * y % P


BASE = _point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def ed25519_verify(public, message, signature):
    """Say whether an Ed25519 signature fits."""
    if len(public) != 32 or len(signature) != 64:
        return False
    a, r, s = _point(public), _point(signature[:32]), int.from_bytes(signature[32:], "little")
    if a is None or r is None or s >= ORDER:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % ORDER
    left, right = _times(s, BASE), _add(r, _times(h, a))
    return (left[0] * right[2] - right[0] * left[2]) % P == 0 and (left[1] * right[2] - right[1] * left[2]) % P == 0


# --- hashes and the tree (RFC 6962) -----------------------------------------------------------------------------------


def sha(*parts):
    """Return the SHA-256 of parts joined."""
    return hashlib.sha256(b"".join(parts)).digest()


def inclusion_root(index, size, leaf, hashes):
    """Return the root that an inclusion proof leads to (RFC 9162, section 2.1.3.2)."""
    need(0 <= index < size, "the proof is about an event that the checkpoint does not cover")
    need(all(len(each) == 32 for each in (leaf, *hashes)), "the hashes of the proof are not of their form")
    at, last, root = index, size - 1, leaf
    for each in hashes:
        need(last > 0, "the proof has more hashes than it needs")
        if at & 1 or at == last:
            root = sha(b"\x01", each, root)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            root = sha(b"\x01", root, each)
        at, last = at >> 1, last >> 1
    need(last == 0, "the proof has fewer hashes than it needs")
    return root


def check_consistency(old, size, hashes, old_root, root):
    """Check a consistency proof (RFC 9162, section 2.1.4.2)."""
    need(0 < old <= size, "the older checkpoint is empty, or not the older one")
    if old == size:
        need(not hashes and old_root == root, "two checkpoints of the same size have different roots: a split view")
        return
    path = list(hashes) if old & (old - 1) else [old_root, *hashes]
    need(path, "the proof has fewer hashes than it needs")
    at, last = old - 1, size - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    first = second = path[0]
    for each in path[1:]:
        need(last > 0, "the proof has more hashes than it needs")
        if at & 1 or at == last:
            first, second = sha(b"\x01", each, first), sha(b"\x01", each, second)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            second = sha(b"\x01", second, each)
        at, last = at >> 1, last >> 1
    need(last == 0 and first == old_root and second == root, "the newer ledger does not begin with the older one")


# --- notes and keys ---------------------------------------------------------------------------------------------------


def unbase64(text, what):
    """Read canonical base64."""
    try:
        content = base64.b64decode(text, validate=True)
    except ValueError:
        content = None
    need(content is not None and base64.b64encode(content).decode() == text, what + " is not base64")
    return content


def parse_key(text, kinds=(1,)):
    """Return name, id, public key and kind of a verifier key."""
    parts = text.strip().split("+", 2)
    need(len(parts) == 3, "the key is not of the form name+id+key")
    content = unbase64(parts[2], "the key")
    need(len(content) == 33 and content[0] in kinds, "the key is no Ed25519 key of the wanted kind")
    key_id = sha(parts[0].encode(), b"\n", content)[:4]
    need(key_id.hex() == parts[1], "the id of the key does not fit: the key was changed")
    return parts[0], key_id, content[1:], content[0]


class Note:
    """A signed text."""

    def __init__(self, text):
        """Parse a note."""
        self.whole = text
        head, gap, lines = text.rpartition("\n\n")
        need(gap and lines.endswith("\n") and len(text) <= 1 << 20, "the note has no signature lines")
        need(not re.search("[\x00-\x09\x0b-\x1f]", text), "the note holds a control character")
        self.text = head + "\n"
        self.signatures = []
        for line in lines[:-1].split("\n"):
            found = re.fullmatch("\u2014 ([^\\s+]+) (\\S+)", line)
            need(found, "a line after the text is not a signature")
            content = unbase64(found[2], "a signature")
            need(len(content) > 4, "a signature is too short")
            self.signatures.append((found[1], content[:4], content[4:]))
        need(len(self.signatures) <= 100, "the note has too many signatures")

    def signed_by(self, key):
        """Say whether the key signed; a wrong signature of it is refused."""
        name, key_id, public, _ = parse_key(key)
        found = [sig for other, id_, sig in self.signatures if (other, id_) == (name, key_id)]
        need(
            all(ed25519_verify(public, self.text.encode(), sig) for sig in found),
            "the signature of %s does not fit the text: one of them was changed" % name,
        )
        return bool(found)

    def cosigned_by(self, key):
        """Return when a witness signed, or None."""
        name, key_id, public, _ = parse_key(key, (4,))
        for other, id_, sig in self.signatures:
            if (other, id_) == (name, key_id):
                need(len(sig) == 72, "a cosignature does not have 72 bytes")
                seconds = int.from_bytes(sig[:8], "big")
                message = "cosignature/v1\ntime %d\n%s" % (seconds, self.text)
                need(ed25519_verify(public, message.encode(), sig[8:]), "the cosignature of %s does not fit" % name)
                return seconds
        return None

    def checkpoint(self):
        """Return origin, size and root."""
        lines = self.text.split("\n")
        need(len(lines) == 4 and not lines[3] and lines[0] and NUMBER.fullmatch(lines[1]), "this is no checkpoint")
        root = unbase64(lines[2], "the root")
        need(len(root) == 32, "the root does not have 32 bytes")
        return lines[0], int(lines[1]), root


def trusted_keys(key, chain):
    """Return the keys that follow from trusting one, each with the size from which it was replaced, or None."""
    links, keys = [], {key: None}
    need(not chain.strip() or chain.startswith(ROTATION + "\n"), "the chain does not begin with " + ROTATION)
    for part in chain.split(ROTATION + "\n")[1:]:
        note = Note(ROTATION + "\n" + part)
        lines = note.text.split("\n")
        need(len(lines) == 7, "an announcement of a key does not have six lines")
        need(note.signed_by(lines[4]) and note.signed_by(lines[5]), "a new key was not signed by the old one")
        links.append((lines[4], lines[5], int(lines[2])))
    need(len({old for old, _, _ in links}) == len(links), "the chain replaces one key by two different ones")
    for _ in links:
        for old, new, size in links:
            if old in keys or new in keys:
                keys[old] = size
                keys.setdefault(new, None)
    return keys


class Trust:
    """Whom to believe."""

    def __init__(self, key, witnesses=(), chain=""):
        """Follow the chain of keys."""
        self.checked = {}
        self.keys, self.witnesses = (trusted_keys(key.strip(), chain) if key else {}), witnesses

    def check(self, note):
        """Check who signed a checkpoint; return what to say about it. The same one is checked once."""
        if note.whole not in self.checked:
            self.checked[note.whole] = self._check(note)
        return self.checked[note.whole]

    def _check(self, note):
        origin, size, root = note.checkpoint()
        need(
            self.keys, "no --key was given, so nobody vouches for checkpoint %s of %d events" % (root.hex()[:16], size)
        )
        signers = [key for key in self.keys if note.signed_by(key)]
        need(signers, "the checkpoint is not signed by the key that you trust")
        need(all(parse_key(key)[0] == origin for key in signers), "the checkpoint is about another ledger")
        until = [self.keys[key] for key in signers]
        need(
            any(each is None or size <= each for each in until),
            "the checkpoint of %d events is signed by a key that was replaced before" % size,
        )
        seen = []
        for key in self.witnesses:
            seconds = note.cosigned_by(key)
            need(seconds is not None, "the witness %s did not sign the checkpoint" % key.split("+")[0])
            seen.append("witness %s saw it at %s" % (key.split("+")[0], moment(seconds * 1000000)))
        return "; ".join(["checkpoint of %d events of %s" % (size, origin), *seen])


def moment(micros):
    """Return a time as text."""
    then = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(microseconds=micros)
    return then.isoformat(timespec="microseconds").replace("+00:00", "Z")


# --- proofs -----------------------------------------------------------------------------------------------------------


def numbered(line, word):
    """Read a line of a word and a number."""
    name, _, number = line.partition(" ")
    need(name == word and NUMBER.fullmatch(number), "the proof has no line %s with a number" % word)
    return int(number)


def read_hashes(lines):
    """Read lines of hashes."""
    hashes = [unbase64(line, "a hash of the proof") for line in lines]
    need(len(hashes) <= 63 and all(len(each) == 32 for each in hashes), "the hashes of the proof are not of their form")
    return hashes


class Proof:
    """A .tlog-proof with the event in it."""

    def __init__(self, text):
        """Parse it and check that the event is in the ledger of its checkpoint."""
        head, gap, note = text.partition("\n\n")
        lines = head.split("\n")
        need(gap and len(lines) > 2 and lines[0] == HEADER, "this is no proof: its first line is not " + HEADER)
        need(lines[1].startswith("extra "), "the proof does not hold its event")
        parts = json.loads(unbase64(lines[1][6:], "what the proof holds"))
        need(isinstance(parts, dict) and parts.get("v") == 1, "the proof holds its event in an unknown form")
        shown = {"v", "leaf", "facts", "facts_blind"}
        need(set(parts) in (shown, shown | {"words", "words_blind"}), "the proof holds its event in an unknown form")
        index, hashes = numbered(lines[2], "index"), read_hashes(lines[3:])
        self.note = Note(note)
        _, size, root = self.note.checkpoint()
        part = {name: unbase64(parts[name], name) for name in parts if name != "v"}
        leaf = inclusion_root(index, size, sha(b"\x00", part["leaf"]), hashes)
        need(leaf == root, "event %d is not in the ledger as the proof shows it" % (index + 1))
        self.leaf, self.facts, self.words = json.loads(part["leaf"]), json.loads(part["facts"]), None
        need(self.leaf["v"] == 1 and self.leaf["seq"] == index + 1, "the leaf is of another event")
        for name in ("facts", "words") if "words" in part else ("facts",):
            commit = sha(part[name + "_blind"], part[name]).hex()
            need(commit == self.leaf.get(name + "_commit"), "the %s were changed" % name)
        if "words" in part:
            self.words = json.loads(part["words"])
        self.seq, self.stream, self.position = self.leaf["seq"], self.leaf["stream"], self.leaf["position"]
        self.type, self.at = self.leaf["type"], self.leaf["recorded_at"]

    def line(self):
        """Return what is proved."""
        told = "event %d, %s, recorded %s for principal %s" % (self.seq, self.type, moment(self.at), self.leaf["actor"])
        words = ", words %s" % json.dumps(self.words) if self.words else ""
        return "%s, facts %s%s" % (told, json.dumps(self.facts), words)


DECIDING = {
    "alias": ("alias.moved.1", "alias.removed.1"),
    "ttl": ("version.ttl-set.1",),
    "deleted": ("version.deleted.1", "version.restored.1", "version.let-go.1", "version.purged.1", "version.purged.2"),
    "created": ("version.created.1",),
    "linked": ("collection.linked.1",),
    "latest": ("version.created.1", "collection.linked.1", "alias.latest-moved.1", "alias.latest-removed.1"),
}
ENDING = ("collection.unlinked.1", "collection.deleted.1")


def says_something(first, each):
    """Say whether an event tells what the ids of the deciding one mean."""
    owner = first.stream.split(":", 1)[0]
    version = first.facts.get("to") or first.facts.get("version_id") or owner
    if each.type == "version.created.1" and each.facts["version_id"] == version:
        return True
    if each.type == "collection.linked.1" and each.stream == owner + ":n" and each.facts["version_id"] == version:
        return True
    if each.type == "alias.moved.1" and (each.stream, each.position) == (first.stream, 1):
        return True
    return each.type.split(".")[1] in ("created", "renamed") and each.stream == owner


def check_fact(held, trust):
    """Check a proof of a fact; return what is proved and what is not."""
    need(isinstance(held["run"], list) and isinstance(held["context"], list), "the proofs are not listed")
    run, context = [Proof(each) for each in held["run"]], [Proof(each) for each in held["context"]]
    need(run and run[0].type in DECIDING.get(held["about"], ()), "the proof does not begin with an event that decides")
    need(len({proof.note.whole for proof in run + context}) == 1, "the proofs lead to different checkpoints")
    first, at = run[0], held["at"]
    need(first.at <= at, "event %d was recorded after the moment in question" % first.seq)
    for before, after in zip(run, run[1:]):
        follows = (after.stream, after.position) == (before.stream, before.position + 1)
        need(
            follows and before.at <= at,
            "event %d does not follow event %d: something was left out" % (after.seq, before.seq),
        )
        need(after.at > at or after.type not in DECIDING[held["about"]], "event %d changed it again" % after.seq)
    lines = [trust.check(first.note), first.line()] + ["with it: " + each.line() for each in context]
    ends = [each for each in context if each.type in ENDING]
    for each in context:
        need(each in ends or says_something(first, each), "event %d says nothing about what is to be proved" % each.seq)
    for each in ends:
        of_link = each.stream in (first.facts.get("link_id"), first.stream.split(":")[0])
        need(
            held["about"] == "linked" and of_link and each.seq > first.seq,
            "event %d says nothing about what is to be proved" % each.seq,
        )
        lines.append("the link ended with event %d, recorded %s" % (each.seq, moment(each.at)))
    if held["about"] == "linked" and not ends:
        lines.append("NOT proved: that the link did not end later, up to the checkpoint")
    if held["about"] == "latest":
        lines.append("NOT proved: that `latest` had not moved otherwise by then")
    if held["about"] in ("alias", "ttl", "deleted", "latest"):
        last = run[-1]
        closed = "nothing else happened to it until %s: event %d came next" % (moment(at), last.seq)
        unproved = "NOT proved: that no event after %d changed it before %s" % (last.seq, moment(at))
        lines.append(closed if last.at > at else unproved)
    return lines


# --- entries of a version ---------------------------------------------------------------------------------------------


def read_rows(content):
    """Return kind, path, size, digest and ref of each row of a block."""
    rows, at = [], 0
    while at < len(content):
        fields = [content[at : at + 1].decode()]
        at += 1
        for kind in ("text", "size", "text", "text"):
            if kind == "size":
                sized, at = content[at], at + 1
                need(sized in (0, 1), "a row is not of its form")
                fields.append(int.from_bytes(content[at : at + 8], "big") if sized else None)
                at += 8 * sized
            else:
                length, at = int.from_bytes(content[at : at + 4], "big"), at + 4
                fields.append(content[at : at + length].decode())
                at += length
        need(at <= len(content) and fields[0] in "BR", "a row is cut off or not of its form")
        rows.append(fields)
    return rows


def check_entry(held, trust):
    """Check that a version holds an entry, or none of a path; return what is proved."""
    path, root, total = held["path"], bytes.fromhex(held["root"]), held["total"]
    digest = sha(b"muniment-manifest-v1", total.to_bytes(8, "big"), root).hex()
    need(digest == held["digest"], "the root of the proof does not make the digest of the version")
    created = Proof(held["created"])
    shown = (created.words or {}).get("digest")
    need(created.type == "version.created.1" and shown == digest, "the version that was created has another digest")
    places, counts = {}, {}
    for leaf in held["shown"]:
        first, count, hash_ = leaf["first"].encode(), leaf["count"], bytes.fromhex(leaf["hash"])
        record = len(first).to_bytes(4, "big") + first + count.to_bytes(4, "big") + hash_
        proof = read_hashes(leaf["hashes"])
        found = inclusion_root(leaf["number"], held["leaves"], sha(b"\x00", record), proof)
        need(found == root, "a leaf is not in the manifest")
        counts[leaf["number"]] = count
        places[leaf["number"], 0] = (leaf["first"], None)
        for block in leaf["blocks"]:
            raw = unbase64(block["rows"], "a block")
            at = inclusion_root(block["number"], -(-count // 64), sha(b"\x00", raw), read_hashes(block["hashes"]))
            need(at == hash_, "a block of rows is not in its leaf")
            rows, start = read_rows(raw), block["number"] * 64
            need(len(rows) == min(64, count - start), "a block does not have the rows that its leaf has there")
            places.update({(leaf["number"], start + n): (each[1], each) for n, each in enumerate(rows)})
    lines = [trust.check(created.note), created.line()]
    for name, each in places.values():
        if name == path and each is not None:
            return [
                *lines,
                "the version holds %r: size %s, digest %s, reference %s" % (path, each[2], each[3], each[4] or None),
            ]
    before = max((place for place, (name, _) in places.items() if name < path), default=None)
    after = min((place for place, (name, _) in places.items() if name > path), default=None)
    if before is None:
        absent = after == (0, 0) or (held["leaves"], total, root) == (0, 0, sha())
    elif before[1] == counts[before[0]] - 1:
        absent = after == (before[0] + 1, 0) or (after is None and before[0] == held["leaves"] - 1)
    else:
        absent = after == (before[0], before[1] + 1)
    need(absent, "the proof shows neither the entry nor the two neighbours between which it would stand")
    return [*lines, "the version holds no %r" % path]


# --- bundles and the rest ---------------------------------------------------------------------------------------------


def check_bundle(folder, trust):
    """Check a bundle; return what is proved."""

    def read(name):
        return (folder / name).read_bytes()

    raw = read("manifest.json")
    manifest = json.loads(raw)
    need(isinstance(manifest, dict) and manifest.get("form") == BUNDLE, "the manifest is of an unknown form")
    need(canonical(manifest) == raw, "the manifest is not in its canonical form (RFC 8785)")
    names = [each["name"] for each in manifest["files"]]
    need(names == sorted(set(names)) and not OWN & set(names), "the manifest lists a file twice, or one of its own")
    there = {each.name for each in folder.iterdir()}
    need(
        there <= OWN | set(names),
        "the folder holds files that the manifest does not list: %s" % sorted(there - OWN - set(names)),
    )
    for each in manifest["files"]:
        need(each["name"] in there and "/" not in each["name"], "the file %s is missing" % each["name"])
        hashed, size = hashlib.sha256(), 0
        with (folder / each["name"]).open("rb") as file:
            for block in iter(lambda: file.read(1 << 20), b""):
                hashed.update(block)
                size += len(block)
        fits = (hashed.hexdigest(), size) == (each["sha256"], each["bytes"])
        need(fits, "the file %s was changed: it is not the one that was reported" % each["name"])
    note, proof = Note(read("checkpoint.note").decode()), Proof(read("report.tlog-proof").decode())
    need(proof.note.whole == note.whole, "the proof leads to another checkpoint than the bundle's")
    need(proof.type == "report.generated.1" and proof.stream == manifest["report_id"], "the proof is of another report")
    log = manifest.pop("log")
    made = (log["origin"], proof.facts["size"], proof.facts["root"])
    need(
        made == (note.checkpoint()[0], log["size"], log["root"]),
        "the manifest names another ledger than the report was made of",
    )
    told = (proof.words or {}).get("manifest") == sha(canonical(manifest)).hex()
    need(
        told and proof.words["report"] == manifest["report"],
        "the manifest was changed: it is not the one that was recorded",
    )
    said = "report %s of the ledger's first %d events, %d files" % (manifest["report"], log["size"], len(names))
    return [trust.check(note), said, proof.line()]


def canonical(value):
    """Return JSON as RFC 8785 writes it, for the values that bundles hold."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def check_consistency_file(text, older, trust):
    """Check that the newer ledger of a file begins with an older checkpoint."""
    head, _, note = text.partition("\n\n")
    lines = head.split("\n")
    old, hashes, note = numbered(lines[0], "old"), read_hashes(lines[1:]), Note(note)
    origin, size, root = note.checkpoint()
    trust.check(older)
    said = trust.check(note)
    need((origin, old) == older.checkpoint()[:2], "the proof compares other checkpoints")
    check_consistency(old, size, hashes, older.checkpoint()[2], root)
    return [said, "it begins with the %d events of the older checkpoint" % old]


def check(path, trust, consistency=None):
    """Check whatever is at a path; return what is proved."""
    text = "" if path.is_dir() else read_text(path)
    if consistency is not None:
        need(text and not text.startswith((HEADER, "{")), "--consistency goes with a checkpoint, and this is none")
    if path.is_dir():
        return check_bundle(path, trust)
    if text.startswith(HEADER):
        proof = Proof(text)
        return [trust.check(proof.note), proof.line()]
    if text.startswith("{"):
        held = json.loads(text)
        kinds = {FACT: check_fact, ENTRY: check_entry}
        need(held.get("kind") in kinds, "this is no proof that is known here")
        return kinds[held["kind"]](held, trust)
    note = Note(text)
    if consistency is not None:
        return check_consistency_file(read_text(consistency), note, trust)
    return [trust.check(note)]


def main(arguments=None):
    """Check what is named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("paths", nargs="+", metavar="PATH")
    parser.add_argument("--key", help="the verifier key of the ledger, or a file that holds it")
    parser.add_argument(
        "--witness", action="append", default=[], metavar="KEY", help="a witness that must have signed, or a file"
    )
    parser.add_argument("--chain", metavar="FILE", help="the chain by which keys of the ledger followed each other")
    parser.add_argument("--consistency", metavar="FILE", help="a proof that a newer ledger begins with the checkpoint")
    parser.add_argument("--quiet", action="store_true", help="print only what does not hold, and the number that does")
    asked = parser.parse_args(arguments)
    wrong = 0
    try:
        chain = read_text(asked.chain) if asked.chain else ""
        trust = Trust(read_key(asked.key), [read_key(each) for each in asked.witness], chain)
    except (Refused, OSError, ValueError) as error:
        print("REFUSED: %s" % error)
        return 1
    for path in asked.paths:
        try:
            said = check(Path(path), trust, asked.consistency)
        except Refused as error:
            wrong += 1
            print("REFUSED %s: %s" % (path, error))
        except OSError as error:
            wrong += 1
            print("REFUSED %s: %s cannot be read: %s" % (path, Path(error.filename or path).name, error.strerror))
        except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
            wrong += 1
            print("REFUSED %s: it is not of its form (%s: %s)" % (path, type(error).__name__, error))
        else:
            if not asked.quiet:
                print("OK %s" % path)
                print("".join("   %s\n" % line for line in said), end="")
    print("%d of %d hold" % (len(asked.paths) - wrong, len(asked.paths)))
    return 1 if wrong else 0


def read_key(text):
    """Return a key, which may be in a file."""
    return read_text(text).strip() if text and Path(text).is_file() else text


def read_text(path):
    """Read a small text file."""
    return Path(path).read_bytes().decode()


if __name__ == "__main__":
    sys.exit(main())
