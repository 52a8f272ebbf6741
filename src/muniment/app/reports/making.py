"""Making a report: every row is read once, written in all forms asked for, and counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import Final

from attrs import define, field, frozen

from muniment.app import directory
from muniment.app.proving import bundles
from muniment.app.proving.bundles import Bundle, Contents, Made
from muniment.app.reports.page import Page
from muniment.app.reports.parquet import Parquet
from muniment.app.reports.shape import BATCH, Cells, Kind, Report, Scope, Sheet, Total
from muniment.app.reports.writers import Csv, JsonLines, Writer, time_text
from muniment.app.store import Store
from muniment.app.transact import Request, Steps, new_id
from muniment.domain.checkpoint import log_name
from muniment.domain.errors import InvalidValueError, StorageError
from muniment.domain.ports import Head, Views
from muniment.domain.registry import require_role
from muniment.domain.report import REPORT, ValuesRevealed, reveal
from muniment.domain.request import Stage
from muniment.domain.rows import DataSubjectRow, OrganisationRow, RequestRow
from muniment.domain.values import Json, Role

JSONL, CSV, PARQUET, HTML = "jsonl", "csv", "parquet", "html"
TABLES: Final[Mapping[str, type[JsonLines | Csv | Parquet]]] = {
    JSONL: JsonLines,
    CSV: Csv,
    PARQUET: Parquet,
}
FORMATS: Final = (*TABLES, HTML)
NONE: Final = "-"


@frozen
class Wanted:
    """What is asked for: events after *after* and up to *at* (``None``: all), about what, in which forms.

    *reveal* says why personal values are to be shown; without it they are not.
    """

    formats: tuple[str, ...] = (JSONL,)
    after: int = 0
    at: int | None = None
    about: str | None = None
    reveal: str | None = None


@frozen
class Written:
    """A report that was written: its files, and the control totals of its sheets."""

    files: tuple[Contents, ...]
    totals: dict[str, Json]


def write(store: Store, report: Report, wanted: Wanted, folder: Path) -> Written:
    """Write a report into a folder that is empty or not there; equal scopes give equal bytes."""
    return _write(store, report, wanted, scope_of(store, report, wanted), folder)


def bundle(store: Store, report: Report, wanted: Wanted, folder: Path) -> tuple[Bundle, Written]:
    """Write a report as a bundle, which anybody can check with the kit alone; that it was made is an event."""
    scope = scope_of(store, report, wanted)
    written = _write(store, report, wanted, scope, folder)
    head = Head(scope.at, store.ledger.root(scope.at), scope.moment)
    made = Made(report.name, head, store.clock(), parameters(scope), written.totals)
    return bundles.write_bundle(store, folder, made, written.files), written


def stream(store: Store, report: Report, wanted: Wanted, form: str) -> Iterator[bytes]:
    """Yield the first sheet of a report in one form of text, JSON lines or CSV."""
    scope, sheet, out = scope_of(store, report, wanted), report.sheets[0], _Chunks()
    writer = TABLES[form](out, sheet)
    for rows in batches(sheet.rows(scope)):
        writer.write(rows)
        yield out.taken()
    writer.close()
    yield out.taken()


# --- scope and rights ------------------------------------------------------------------------------------------------


def scope_of(store: Store, report: Report, wanted: Wanted) -> Scope:
    """Return what a report is made of, after checking that the actor may have it.

    Only an admin of every organisation in the ledger may. Showing personal values is recorded before they are read.
    """
    head = store.ledger.head()
    at = head.size if wanted.at is None else wanted.at
    if not 0 <= wanted.after <= at <= head.size:
        msg = f"the report cannot tell of events {wanted.after + 1} to {at} — the ledger holds 1 to {head.size}"
        raise InvalidValueError(msg)
    about = _about(store, report, wanted.about, at)
    why = wanted.reveal if wanted.reveal is not None else f"report {report.name}" if report.private else None
    if why is None:
        require_admin(store.views, store)
    else:
        _reveal(store, report, why, at)
    return Scope(store, wanted.after, at, store.moment(at), store.moment(wanted.after), about, revealed=why is not None)


def require_admin(views: Views, store: Store) -> None:
    """Refuse reports to whoever is not an admin of every organisation: they tell of the whole ledger."""
    for row in views.select(OrganisationRow, order="name"):
        require_role(directory.role_of(views, row.organisation_id, store.context.actor), Role.ADMIN, "make reports")


def parameters(scope: Scope) -> dict[str, Json]:
    """Return what a report was asked for, as its manifest says it."""
    told: dict[str, Json] = {"after": scope.after, "at": scope.at}
    if scope.about is not None:
        told["about"] = scope.about
    return told | {"revealed": scope.revealed}


def _reveal(store: Store, report: Report, why: str, at: int) -> None:
    if not why.strip():
        msg = "to show personal values, say why: --reveal REASON"
        raise InvalidValueError(msg)
    id_ = new_id()
    reason = store.keep(id_, reason=why)["reason"]

    def decide(steps: Steps) -> None:
        require_admin(steps.views, store)
        assert reason is not None  # noqa: S101 (there is one)
        steps.step(REPORT, id_, reveal, ValuesRevealed(at, report.name, reason))

    store.transact(Request("reveal", [report.name, at], id_), decide)


def _about(store: Store, report: Report, about: str | None, at: int) -> str | None:
    if about is None:
        if report.needed and report.about is not None:
            msg = f"{report.name} is about one {report.about.value} — name it: --{report.about.value} ID"
            raise InvalidValueError(msg)
        return None
    if report.about is None:
        msg = f"{report.name} is about everything — leave the id out"
        raise InvalidValueError(msg)
    request = store.views.find(RequestRow, at=at, request_id=about)
    subject = store.views.find(DataSubjectRow, at=at, subject_id=about)
    if (request if report.about.value == "request" else subject) is None:
        msg = f"there is no {report.about.value} {about} — see: muniment {report.about.value} list"
        raise InvalidValueError(msg)
    if report.private and (request is None or request.stage == Stage.RECEIVED.value):
        msg = f"who asks in request {about} was not identified yet — see: muniment request identify {about}"
        raise InvalidValueError(msg)
    return about


# --- writing ---------------------------------------------------------------------------------------------------------


@define
class _Count:
    """The control totals of one sheet."""

    sheet: Sheet
    rows: int = 0
    sums: dict[str, int] = field(factory=dict)
    counts: dict[str, Counter[str]] = field(factory=dict)

    def add(self, rows: Sequence[Cells]) -> None:
        self.rows += len(rows)
        for at, column in enumerate(self.sheet.columns):
            if column.total is Total.SUM:
                self.sums[column.name] = self.sums.get(column.name, 0) + sum(row[at] or 0 for row in rows)
            elif column.total is Total.COUNTS:
                show = _word_of_flag if column.kind is Kind.FLAG else _word
                counted = self.counts.setdefault(column.name, Counter())
                for cell, times in Counter(map(itemgetter(at), rows)).items():
                    counted[show(cell)] += times

    def told(self) -> Json:
        return {
            "rows": self.rows,
            "sums": self.sums,
            "counts": {name: dict(sorted(counted.items())) for name, counted in self.counts.items()},
        }


def _word(cell: str | None) -> str:
    return NONE if cell is None else cell


def _word_of_flag(cell: int | None) -> str:
    return NONE if cell is None else "true" if cell else "false"


def batches(rows: Iterable[Cells]) -> Iterator[Sequence[Cells]]:
    """Yield rows many at a time."""
    found = iter(rows)
    while batch := list(islice(found, BATCH)):
        yield batch


def _write(store: Store, report: Report, wanted: Wanted, scope: Scope, folder: Path) -> Written:
    formats = tuple(dict.fromkeys(wanted.formats))
    _check(report, formats)
    totals: dict[str, Json] = {}
    files: list[Contents] = []
    with ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if any(folder.iterdir()):
                msg = f"the folder {folder.name} is not empty — name another for the report"
                raise InvalidValueError(msg)
            page = _page(stack, store, report, scope, folder) if HTML in formats else None
            for sheet in report.sheets:
                count = _sheet(report, sheet, scope, folder, formats, page)
                totals[sheet.name] = count.told()
                tables = (form for form in formats if form != HTML)
                files += [Contents(f"{report.stem(sheet)}.{form}", count.rows) for form in tables]
            if page is not None:
                page.close()
                files.append(Contents(f"{report.name}.{HTML}"))
            if report.files is not None:
                files += [Contents(name) for name in report.files(scope, folder, [each.name for each in files])]
        except OSError as error:
            msg = f"the report cannot be written into {folder.name} ({error.strerror}) — name another folder"
            raise StorageError(msg) from error
    return Written(tuple(files), totals)


def _check(report: Report, formats: Sequence[str]) -> None:
    unknown = [form for form in formats if form not in FORMATS]
    if unknown or not formats:
        what = f"a report has no form {unknown[0]!r}" if unknown else "a report is written in at least one form"
        msg = f"{what} — take some of {', '.join(FORMATS)}"
        raise InvalidValueError(msg)
    if HTML in formats and not report.page:
        msg = f"{report.name} is not for reading through, so there is no HTML of it — take {', '.join(TABLES)}"
        raise InvalidValueError(msg)


def _page(stack: ExitStack, store: Store, report: Report, scope: Scope, folder: Path) -> Page:
    opened = stack.enter_context((folder / f"{report.name}.{HTML}").open("wb"))
    facts = {
        "ledger": log_name(store.ledger.origin),
        "events": f"{scope.after + 1} to {scope.at}" if scope.at > scope.after else "none",
        "root of the ledger": store.ledger.root(scope.at).hex(),
        "as of": time_text(scope.moment),
        "about": scope.about or "everything",
        "personal values": "shown" if scope.revealed else "not shown",
    }
    return Page(opened, report, facts)


def _sheet(
    report: Report, sheet: Sheet, scope: Scope, folder: Path, formats: Sequence[str], page: Page | None
) -> _Count:
    count = _Count(sheet)
    with ExitStack() as stack:
        writers: list[Writer] = []
        for form in formats:
            if form != HTML:
                opened = stack.enter_context((folder / f"{report.stem(sheet)}.{form}").open("wb"))
                writers.append(TABLES[form](opened, sheet))
        if page is not None:
            page.begin(sheet)
        for rows in batches(sheet.rows(scope)):
            count.add(rows)
            for writer in [*writers, *([page] if page else [])]:
                writer.write(rows)
        for writer in writers:
            writer.close()
        if page is not None:
            page.end()
    return count


@define
class _Chunks:
    """What was written, to be taken out piece by piece."""

    _parts: list[bytes] = field(init=False, factory=list)

    def write(self, content: bytes) -> int:
        """Keep some bytes until they are taken."""
        self._parts.append(content)
        return len(content)

    def taken(self) -> bytes:
        """Return what was written since it was last taken."""
        content = b"".join(self._parts)
        self._parts.clear()
        return content
