"""Spans for OpenTelemetry: off unless asked for; they hold ids and counts, and nothing that anybody typed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import muniment as wandb
from muniment.app import bootstrap, config, telemetry
from muniment.app.cli import main
from muniment.app.drill.drill import Drill
from muniment.app.store import Store
from muniment.domain.errors import MunimentError, NotFoundError, StorageError
from tests.app.contents import log

CANARY = "canary"
TYPED = {"name", "path", "description", "login", "uri", "digest", "alias", "type", "entity", "project"}


@pytest.fixture(scope="session")
def exporter() -> InMemorySpanExporter:
    """Return where the spans of this process go; a program has one provider."""
    made = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(made))
    trace.set_tracer_provider(provider)
    return made


@pytest.fixture
def spans(exporter: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    monkeypatch.setenv("MUNIMENT_OTEL", "1")
    exporter.clear()
    yield exporter
    monkeypatch.delenv("MUNIMENT_OTEL")
    telemetry.set_up(config.load())


def named(spans: Sequence[ReadableSpan], name: str) -> ReadableSpan:
    (found,) = [span for span in spans if span.name == f"muniment.{name}"]
    return found


def test_a_logged_version_is_a_tree_of_spans(spans: InMemorySpanExporter) -> None:
    store = bootstrap.open_store(config.load())
    spans.clear()
    found = log(store, {"a": b"1", "b": b"22"})
    made = spans.get_finished_spans()
    whole = named(made, "log")
    assert dict(whole.attributes or {}) == {
        "muniment.version_id": found.version.version_id,
        "muniment.index": 0,
        "muniment.created": 1,
    }
    command = named(made, "transact")
    attributes = dict(command.attributes or {})
    size = store.ledger.head().size
    assert attributes.pop("muniment.command")
    assert attributes.pop("muniment.first_seq") == size - 1
    assert attributes == {"muniment.act": "log", "muniment.last_seq": size}
    appended = named(made, "ledger.append")
    assert dict(appended.attributes or {}) == {"muniment.events": 2}
    parents = {span.name: span.parent and span.parent.span_id for span in made}
    assert parents["muniment.ledger.append"] == command.context.span_id
    assert {parents[name] for name in ("muniment.transact", "muniment.blobs.missing")} == {whole.context.span_id}
    assert {span.name for span in made} >= {"muniment.blobs.put_many", "muniment.blobs.missing"}
    store.ledger.close()


def test_a_failure_keeps_the_class_of_the_error_only(spans: InMemorySpanExporter) -> None:
    store = bootstrap.open_store(config.load())
    spans.clear()
    with pytest.raises(NotFoundError):
        list(telemetry.watch(store.blobs).get("0" * 64))  # type: ignore[arg-type]
    (*_, outer) = spans.get_finished_spans()
    assert (outer.attributes or {})["error.type"] == "NotFoundError"
    assert outer.status.status_code is trace.StatusCode.ERROR
    assert (outer.status.description, outer.events) == (None, ())
    store.ledger.close()


def test_nothing_that_anybody_typed_is_in_a_span(
    spans: InMemorySpanExporter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_home: Path
) -> None:
    home = own_home / f"{CANARY}-home"
    for name in (
        "ENTITY",
        "PROJECT",
        "ACTOR",
        "RUN_ID",
        "RUN_GROUP",
        "NAME",
        "NOTES",
        "TAGS",
        "JOB_TYPE",
        "ORGANISATION",
    ):
        monkeypatch.setenv(f"MUNIMENT_{name}", f"{CANARY}-{name.lower()}")
    monkeypatch.setenv("MUNIMENT_HOME", str(home))
    folder = tmp_path / f"{CANARY}-folder"
    folder.mkdir()
    (folder / f"{CANARY}-file").write_text(f"{CANARY} content")
    main(["registry", "create", f"{CANARY}-registry", "-t", f"{CANARY}-type", "-d", f"{CANARY} text"])
    with wandb.init(config={f"{CANARY}-key": f"{CANARY}-value"}) as run:
        run.log({f"{CANARY}-metric": 1})
        made = wandb.Artifact(
            f"{CANARY}-set", f"{CANARY}-type", f"{CANARY} text", {f"{CANARY}-meta": f"{CANARY}-value"}
        )
        made.add_dir(str(folder))
        made.add_reference(f"file://{folder}", name=f"{CANARY}-reference")
        logged = run.log_artifact(made, aliases=[f"{CANARY}-alias"], tags=[f"{CANARY}-tag"]).wait()
        run.use_artifact(f"{CANARY}-set:latest").download(str(tmp_path / f"{CANARY}-out"))
        logged.link(f"wandb-registry-{CANARY}-registry/{CANARY}-collection", aliases=[f"{CANARY}-link"])
        for _ in range(2):
            with pytest.raises((MunimentError, ValueError)):
                run.use_artifact(f"{CANARY}-nothing:{CANARY}-no")
    organisation = f"{CANARY}-organisation"
    assert main(["artifact", "delete", f"{CANARY}-set:v0", "--delete-aliases"]) == 1  # the refusal names its links
    for args in (
        [
            "registry",
            "link",
            f"{CANARY}-set:latest",
            f"{organisation}/wandb-registry-{CANARY}-registry/{CANARY}-second",
        ],
        ["registry", "members", f"{CANARY}-registry", f"{CANARY}-somebody", "member"],
        ["registry", "unlink", f"{organisation}/wandb-registry-{CANARY}-registry/{CANARY}-second:v0"],
        ["registry", "delete", f"{CANARY}-registry"],
        ["artifact", "delete", f"{CANARY}-set:v0", "--delete-aliases", "--reason", f"{CANARY} reason"],
        ["artifact", "delete", f"{CANARY}-set", "--artifact", "--reason", f"{CANARY} reason"],
        ["gc", "--yes"],
        ["fsck"],
    ):
        assert main(args) == 0
    finished = spans.get_finished_spans()
    assert {span.name.removeprefix("muniment.") for span in finished} >= {
        *("log", "use", "download", "link", "unlink", "delete", "collect", "transact", "ledger.append"),
        *("blobs.put_many", "blobs.get", "blobs.missing", "blobs.list"),
    }
    for span in finished:
        assert CANARY not in span.to_json(), span.to_json()
        keys = {key.removeprefix("muniment.") for key in span.attributes or {}}
        assert not keys & TYPED, keys
        assert all(str(tmp_path) not in str(value) for value in (span.attributes or {}).values())


def test_spans_of_other_threads_belong_to_the_act(spans: InMemorySpanExporter, tmp_path: Path) -> None:
    with wandb.init() as run:
        made = wandb.Artifact("set", "data")
        with made.new_file("a") as file:
            file.write("a")
        run.log_artifact(made).wait()
        spans.clear()
        with trace.get_tracer("program").start_as_current_span("training") as training:
            run.use_artifact("set:latest").download(str(tmp_path / "out"))
    made_spans = spans.get_finished_spans()
    assert {span.context.trace_id for span in made_spans if span.name == "muniment.blobs.get"} == {
        training.get_span_context().trace_id
    }


def test_no_span_of_a_drill_holds_a_planted_word(spans: InMemorySpanExporter, tmp_path: Path) -> None:
    def opening(home: Path, actor: str, again: bool) -> Store:  # noqa: FBT001 (as the drill asks for it)
        found = config.load({"MUNIMENT_HOME": str(home), "MUNIMENT_ACTOR": actor, "MUNIMENT_OTEL": "1"})
        return bootstrap.open_store(found, erasing_again=again)

    drill = Drill(tmp_path, opening)
    assert all(line.ok for line in drill.run())
    said = [f"{span.name} {span.to_json()}" for span in spans.get_finished_spans()]
    assert len(said) > 100
    assert [line for line in said if any(word in line for word in drill.planted.all)] == []


def test_without_being_asked_for_nothing_is_loaded_and_nothing_wrapped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MUNIMENT_OTEL", raising=False)
    program = (
        "import sys, muniment as wandb\n"
        "with wandb.init() as run: run.log_artifact(wandb.Artifact('a', 'b')).wait()\n"
        "print([name for name in sys.modules if name.partition('.')[0] == 'opentelemetry'])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    store = bootstrap.open_store(config.load())
    assert telemetry.watch(store.blobs) is store.blobs
    assert telemetry.carried(str) is str
    store.ledger.close()


def test_what_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUNIMENT_OTEL", "1")
    monkeypatch.setattr(telemetry, "find_spec", lambda _: None)
    with pytest.raises(StorageError, match=r"pip install 'muniment\[otel\]'"):
        bootstrap.open_store(config.load())
