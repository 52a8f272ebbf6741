"""``docs/format/events.md`` says what the code does: it is made here, and a test asserts that it is up to date.

To write it again after a change: ``python -m tests.adapters.test_events_document``.
"""

from __future__ import annotations

import enum
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final, NewType, Union, get_args, get_origin

from muniment.adapters.ledger.codec import WIRE_NAMES
from muniment.domain.decider import Event
from muniment.domain.evidence import Evidence
from muniment.domain.policy import Terms
from muniment.domain.values import Erased, Personal, Ttl
from tests.events import deciders, fields, tier

DOCUMENT: Final = Path(__file__).resolve().parents[2] / "docs" / "format" / "events.md"
STREAMS: Final = {
    "access": ("what a principal looked at and was denied", "`<principal>:x`"),
    "activity": ("what data is processed for", "`<activity>`"),
    "alias": ("an alias of an artifact or a collection", "`<artifact or collection>:a:<32 random characters>`"),
    "approval": ("what one person proposes and another approves", "`<proposal>`"),
    "artifact": ("an artifact", "`<artifact>`"),
    "collection": ("a collection", "`<collection>`"),
    "data-subject": ("a person whom stored things are about", "`<data subject>`"),
    "disposal": (
        "bytes that went without a version, of copies that could not go yet, or of purges that wait",
        "`<disposal>`, `<residual>` or `<organisation>:g`",
    ),
    "hold": ("a hold", "`<hold>`"),
    "latest": ("`latest` of an artifact or a collection, where it was put by hand", "`<artifact or collection>:l`"),
    "link": ("the end of a link", "`<link>`"),
    "link-numbering": ("the links of a collection; an index there is the position minus one", "`<collection>:n`"),
    "numbering": ("the versions of an artifact; an index is the position minus one", "`<artifact>:n`"),
    "organisation": ("an organisation", "`<organisation>`"),
    "policy": ("a retention policy", "`<policy>`"),
    "principal": ("somebody who acts", "`<principal>`"),
    "project": ("a project", "`<project>`"),
    "redaction": ("what was redacted in an organisation", "`<organisation>:r`"),
    "registry": ("a registry", "`<registry>`"),
    "report": ("a report that was made of the ledger", "`<report>`"),
    "request": ("a request of a data subject", "`<request>`"),
    "run": ("a run", "`<run>`"),
    "team": ("a team", "`<team>`"),
    "trace": ("what a run used and logged", "`<run>:t`"),
    "version": ("what happened to a version after it was made", "`<version>`"),
}
INTRODUCTION: Final = """\
# Events

Every event that can stand in the ledger, as it is stored.
This file is made from the code by `python -m tests.adapters.test_events_document`, and a test compares the two.

An event is stored under its *wire name*, which ends in the number of its form.
A name is never used again for another form; old forms are read as the present one.
Its fields stand in two JSON texts in UTF-8, with sorted keys and without spaces:

| tier | where it is | how it is forgotten |
|---|---|---|
| facts | the first text, which every event has | never: ids, numbers, times, enumerations |
| words | the second text, only where there are such fields | text and blind are destroyed; then it reads as erased |
| personal | the vault; the first text holds `{"commit":…,"slot":…}` | its slot in the vault is destroyed |

A field that is null is left out, and a field that the reader does not know is ignored.
No text holds a NUL character, and no number has more than 64 bits, so that every database can hold them.
An *id* is 32 and a *digest* 64 lowercase hexadecimal characters; times and durations are whole microseconds.
A *TTL* is `{"micros":…,"rule":…}`, its rule `inherit`, `never` or `after`, its `micros` null but for `after`.
*Terms* are `{"ending":…,"keep_last":…,"maximum":…,"minimum":…,"start":…}`, the middle three integers or null.
Their ending is `delete` or `review`, their start `created`, `last-used`, `unlinked` or `superseded`.
*Evidence* is `{"blobs":…,"copies":…,"disposal_id":…,"method":…,"residual":…,"size":…,"verified_by":[…]}`.
Its method is `deleted`, `pack-rewritten`, `key-destroyed` or `already-absent`;
it was verified by `memory`, `files`, `objects`, `versions` (with markers, unfinished uploads) or `footers` (of packs).
The *class* of an event (governance, change, access, security) decides how long it is kept.
A `?` marks a field that may be absent.
"""
SHORT: Final = {Ttl: "TTL", Terms: "terms", Evidence: "evidence", int: "integer", str: "text", bool: "true or false"}


def kind(annotation: Any) -> str:
    """Return what a field holds, in a few words."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if annotation in SHORT:
        return SHORT[annotation]
    if origin is Annotated:
        return kind(inner[0])
    if origin in {Union, types.UnionType}:
        return next(kind(each) for each in inner if each not in {Erased, types.NoneType})
    if origin is Personal:
        return "JSON" if inner[0] is Any else kind(inner[0])
    if origin is tuple:
        return f"list of {kind(inner[0])}"
    if isinstance(annotation, NewType):
        return "digest" if annotation.__name__ == "Digest" else "id"
    assert issubclass(annotation, enum.Enum), annotation
    return " \\| ".join(f"`{each.value}`" for each in annotation)


def what(field: str, annotation: Any) -> str:
    """Return what a field holds; among the facts, a text that is no class of error is an id."""
    told = kind(annotation)
    return "id" if told == "text" and tier(annotation) == "facts" and field != "rule" else told


def may_be_absent(annotation: Any) -> bool:
    return get_origin(annotation) in {Union, types.UnionType} and types.NoneType in get_args(annotation)


def row(name: str, class_: type[Event]) -> str:
    cells = {"facts": "", "words": "", "personal": ""}
    for field, annotation in fields(class_).items():
        column = tier(annotation)
        absent = "?" if may_be_absent(annotation) else ""
        cells[column] += f"{'; ' if cells[column] else ''}`{field}`{absent} {what(field, annotation)}"
    told = (class_.__doc__ or "").replace("``", "`").replace("`None`", "`null`")
    return " | ".join((f"| `{name}`", class_.audit.value, *(each or "-" for each in cells.values()), f"{told} |"))


def lines() -> Iterator[str]:
    yield INTRODUCTION
    names = {class_: name for name, class_ in WIRE_NAMES.items()}
    for stream, (_, classes) in sorted(deciders().items()):
        of, id_ = STREAMS[stream]
        yield f"## {stream.replace('-', ' ').capitalize()}\n"
        yield f"The stream of {of}: {id_}.\n"
        yield "| wire name | class | facts | words | personal | meaning |"
        yield "|---|---|---|---|---|---|"
        yield from (row(names[class_], class_) for class_ in classes)
        yield ""


def document() -> str:
    """Return what the document must say."""
    return "\n".join(lines())


def test_the_document_of_the_events_is_up_to_date() -> None:
    again = "write it again with `python -m tests.adapters.test_events_document`"
    assert DOCUMENT.read_text(encoding="utf-8") == document(), again


def test_the_document_names_every_event_once() -> None:
    text = document()
    assert [text.count(f"| `{name}` |") for name in WIRE_NAMES] == [1] * len(WIRE_NAMES)


if __name__ == "__main__":
    DOCUMENT.write_text(document(), encoding="utf-8")
