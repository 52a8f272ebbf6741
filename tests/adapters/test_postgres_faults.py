"""What goes wrong between the ledger and its server: known to have left nothing, or known by the command's id."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from attrs import evolve

from muniment.adapters import postgres
from muniment.adapters.ledger import postgres_batch
from muniment.adapters.ledger.postgres import PostgresLedger
from muniment.domain.errors import CorruptError, InvalidValueError, StorageError
from muniment.domain.ports import Append, Outcome, Receipt
from muniment.domain.project import ProjectRenamed
from muniment.domain.rows import ProjectRow
from muniment.domain.values import CommandId
from tests.acts import story
from tests.conformance.ledger_acts import Counted, Dial, P, append, command, created, decided, events
from tests.servers.postgres import PostgresServer, postgres_ledger, running
from tests.servers.wire import Cut, Wire, wire
from tests.stores import Clock, sqlite_store, store_on


@pytest.fixture
def url() -> str:
    return running().url()


@pytest.fixture
def ledger(url: str) -> Iterator[PostgresLedger]:
    ledger = postgres_ledger(url, Dial())
    yield ledger
    ledger.close()


def tables(url: str) -> str:
    return urlsplit(url).query.rpartition("schema=")[2]


def sql(url: str, statement: str) -> list[tuple[object, ...]]:
    return running().sql(f"SET search_path = {tables(url)}; {statement}")


# --- the connection is lost ------------------------------------------------------------------------------------------


@pytest.fixture
def cable() -> Iterator[Wire]:
    with wire(running().folder / ".s.PGSQL.5432") as made:
        yield made


@pytest.fixture
def far(cable: Wire, url: str) -> Iterator[PostgresLedger]:
    """Return the ledger as it is reached through the wire."""
    through = f"postgresql://postgres:secret@127.0.0.1:{cable.port}/postgres?sslmode=disable&schema={tables(url)}"
    ledger = postgres_ledger(through, Dial())
    yield ledger
    ledger.close()


@pytest.mark.parametrize(("cut", "decided_times"), [(Cut.UNHEARD, 2), (Cut.UNANSWERED, 1)])
def test_a_connection_lost_in_commit_leaves_one_event_and_the_true_answer(
    cable: Wire, far: PostgresLedger, cut: Cut, decided_times: int
) -> None:
    cable.cut = cut
    decide = Counted(Outcome((Append(P, 0, (created("p"),)),), {"made": P}))
    wanted = command()
    assert far.transact(wanted, decide) == Receipt({"made": P}, 1, 1)
    assert (cable.cuts, decide.calls) == (1, decided_times)
    assert far.transact(wanted, decide) == Receipt({"made": P}, 1, 1, replayed=True)
    assert [each.event for each in events(far)] == [created("p")]
    assert list(far.verify()) == []


@pytest.mark.parametrize("cut", list(Cut))
def test_work_without_a_command_is_done_once_too(cable: Wire, far: PostgresLedger, cut: Cut) -> None:
    cable.cut = cut
    far.work(
        lambda transaction: transaction.scratch.put(
            "count",
            "k",
            [*(transaction.scratch.get("count", "k") or []), "once"],
        )
    )
    assert (cable.cuts, far.scratch.get("count", "k")) == (1, ["once"])


@pytest.mark.parametrize("cut", list(Cut))
def test_what_was_found_out_about_a_lost_commit_is_not_forgotten_with_the_next_connection(
    cable: Wire, far: PostgresLedger, cut: Cut
) -> None:
    cable.cut, cable.then = Cut.UNANSWERED, (cut, b"ROLLBACK")
    far.work(
        lambda transaction: transaction.scratch.put("count", "k", (transaction.scratch.get("count", "k") or 0) + 1)
    )
    assert (cable.cuts, far.scratch.get("count", "k")) == (2, 1)


@pytest.mark.parametrize("cut", list(Cut))
def test_where_the_server_no_longer_knows_the_command_id_tells(
    cable: Wire, far: PostgresLedger, cut: Cut, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_batch.Batches, "_what_became", lambda *_: None)
    cable.cut = cut
    receipt = far.transact(command(), decided(Append(P, 0, (created("p"),)), answer=1))
    assert evolve(receipt, replayed=False) == Receipt(1, 1, 1)
    assert [each.event for each in events(far)] == [created("p")]
    assert list(far.verify()) == []


@pytest.mark.parametrize("word", [b"ledger_head FOR UPDATE", b"INSERT INTO events", b"INSERT INTO commands"])
@pytest.mark.parametrize("cut", list(Cut))
def test_a_connection_lost_anywhere_else_is_tried_again(
    cable: Wire, far: PostgresLedger, cut: Cut, word: bytes
) -> None:
    cable.cut, cable.word = cut, word
    assert append(far, P, created("p")) == Receipt(None, 1, 1)
    assert cable.cuts == 1
    assert far.head().size == 1
    assert list(far.verify()) == []


def test_reading_goes_on_in_a_new_session(ledger: PostgresLedger) -> None:
    append(ledger, P, created("p"))
    reading = ledger.read()
    asked: list[Callable[[], int]] = [
        lambda: ledger.head().size,
        lambda: ledger.at(2**62),
        lambda: next(reading).seq,
        lambda: ledger.views.count(ProjectRow, team_id="7e" * 16, order="name"),
    ]
    for ask in asked:
        end_sessions()
        assert ask() == 1
    end_sessions()
    assert ledger.scratch.get("note", "k") is None
    append(ledger, P, ProjectRenamed("q"), expected=1)


def end_sessions() -> None:
    running().sql("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name = 'muniment'")


def test_a_server_that_stays_away_is_reported_without_what_is_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    server = PostgresServer.started()
    try:
        ledger = postgres_ledger(server.url().replace("postgres@", "postgres:secret@"), Dial())
        append(ledger, P, created("p"))
        server.stop()
        monkeypatch.setattr(postgres, "PATIENCE", 0.3)
        for act in (
            ledger.head,
            lambda: append(ledger, P, ProjectRenamed("q"), expected=1),
            lambda: list(ledger.dump()),
        ):
            with pytest.raises(StorageError, match=r"cannot be reached .* start its server") as caught:
                act()
            assert isinstance(caught.value.__cause__, psycopg.Error)
            assert "secret" not in f"{caught.value} {caught.value.__cause__} {ledger!r}"
        assert [text[:38] for text in ledger.verify()] == ["the ledger in PostgreSQL cannot be rea"]
        server.start()
        append(ledger, P, ProjectRenamed("q"), expected=1)
        assert ledger.head().size == 2
        ledger.close()
    finally:
        server.remove()


def test_an_unknown_commit_whose_server_stays_away_says_so(
    cable: Wire, far: PostgresLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "PATIENCE", 0.3)
    cable.cut, cable.server = Cut.UNANSWERED, Path("nowhere")
    with pytest.raises(StorageError, match="not known whether this was recorded"):
        append(far, P, created("p"))


# --- conflicts and locks ---------------------------------------------------------------------------------------------


def test_a_conflict_that_the_server_reports_is_tried_again(ledger: PostgresLedger, url: str) -> None:
    sql(
        url,
        """CREATE SEQUENCE tries; CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF nextval('tries') = 1 THEN RAISE 'late' USING ERRCODE = 'serialization_failure'; END IF;
        IF currval('tries') = 2 THEN RAISE 'stuck' USING ERRCODE = 'deadlock_detected'; END IF; RETURN NEW; END $$;
        CREATE TRIGGER fail BEFORE INSERT ON leaves FOR EACH ROW EXECUTE FUNCTION fail()""",
    )
    assert append(ledger, P, created("p")) == Receipt(None, 1, 1)
    assert sql(url, "SELECT last_value FROM tries") == [(3,)]
    assert list(ledger.verify()) == ["the ledger's tables were changed: somebody added the trigger fail to leaves"]


def test_a_statement_that_fails_fails_its_own_command_only(ledger: PostgresLedger, url: str) -> None:
    sql(
        url,
        """CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NEW.key = 'bad' THEN RAISE 'secret %', NEW.key USING ERRCODE = 'disk_full'; END IF; RETURN NEW; END $$;
        CREATE TRIGGER fail BEFORE INSERT ON scratch FOR EACH ROW EXECUTE FUNCTION fail()""",
    )

    def put(key: str) -> None:
        ledger.work(lambda transaction: transaction.scratch.put("note", key, 1))

    put("good")
    with pytest.raises(StorageError, match="no space is left"):
        put("bad")
    put("better")
    assert [key for key, _ in ledger.scratch.items("note")] == ["better", "good"]


def test_a_lock_that_is_held_too_long_is_reported(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "PATIENCE", 0.2)
    ledger = postgres_ledger(url, Dial())
    with psycopg.connect(running().base()) as other:
        other.execute(f"SET search_path = {tables(url)}".encode())
        other.execute("SELECT * FROM ledger_head FOR UPDATE")
        with pytest.raises(StorageError, match=r"kept the ledger in PostgreSQL locked"):
            append(ledger, P, created("p"))
        assert ledger.head().size == 0
    append(ledger, P, created("p"))
    ledger.close()


def test_a_failed_rebuild_leaves_the_rows_as_they_were(ledger: PostgresLedger, url: str) -> None:
    append(ledger, P, created("p"))
    rows = list(ledger.dump())
    sql(url, r"UPDATE events SET state = '\x7b'")
    with pytest.raises(CorruptError):
        ledger.rebuild()
    assert list(ledger.dump()) == rows


# --- the place -------------------------------------------------------------------------------------------------------


def test_many_open_a_new_ledger_at_once(url: str) -> None:
    found: list[str] = []
    start = threading.Barrier(8)

    def run() -> None:
        start.wait()
        ledger = postgres_ledger(url, Dial())
        found.append(ledger.origin)
        ledger.close()

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        "postgresql://ada:pass@word-secret@host/db",
        "postgresql://ada:pa/secret@host/db",
        "postgresql://ada:pa#secret@host/db",
        "postgresql://ada:x@host:secret/db",
        "postgresql://ada:secret@host/db?colour=secret",
        "postgresql://ada:secret@[host/db",
    ],
)
def test_a_url_that_cannot_be_read_is_refused_without_being_quoted(wrong: str) -> None:
    with pytest.raises(InvalidValueError, match="postgresql://user@host:5432/database") as caught:
        postgres_ledger(wrong, Dial())
    assert "secret" not in f"{caught.value} {caught.value.__cause__}"


@pytest.mark.parametrize(
    ("settings", "refused"),
    [
        ("schema=one&schema=two", "the setting 'schema' more than once"),
        ("sslmode=prefer&schema=one&sslmode=disable", "the setting 'sslmode' more than once"),
        ("schema=one&schema=one", "the setting 'schema' more than once"),
        ("Schema=one", "an unknown setting 'Schema'"),
        ("schema=one&enable_db_functions=on", "an unknown setting 'enable_db_functions'"),
    ],
)
def test_a_setting_that_is_doubled_or_unknown_is_named_and_no_value_is(settings: str, refused: str) -> None:
    with pytest.raises(InvalidValueError, match=refused) as caught:
        postgres_ledger(f"postgresql://ada:secret@host/db?password=secret2&{settings}", Dial())
    assert not any(word in f"{caught.value} {caught.value.__cause__}" for word in ("secret", "ada@", "one&", "disable"))


@pytest.mark.parametrize(
    "wrong", ["ada:pa?secret=@host/db", "ada:pa?secret&secret=%40host", "ada:pa?x=1&sec-ret=2@h/db"]
)
def test_a_piece_of_a_password_is_no_setting_that_could_be_named(wrong: str) -> None:
    with pytest.raises(InvalidValueError, match="signs such as @") as caught:
        postgres_ledger(f"postgresql://{wrong}", Dial())
    assert "sec" not in f"{caught.value}"


@pytest.mark.parametrize("other", ["CREATE TABLE {}.events (n int)", "CREATE VIEW {}.versions AS SELECT 1"])
def test_a_schema_that_holds_something_else_is_refused_and_left_alone(url: str, other: str) -> None:
    place = tables(url)
    running().sql(f"CREATE SCHEMA {place}; {other.format(place)}")
    with pytest.raises(StorageError, match=r"holds something else \(relation .* already exists\) — name another"):
        postgres_ledger(url, Dial())
    listed = "SELECT count(*) FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = '{}'"
    assert running().sql(listed.format(place)) == [(1,)]


def test_a_schema_is_named_in_small_letters() -> None:
    with pytest.raises(InvalidValueError, match="'A\"b' cannot name a schema"):
        postgres_ledger(running().url('A"b'), Dial())


def test_a_role_that_may_not_make_tables_is_told_so(url: str) -> None:
    running().sql("DO $$ BEGIN CREATE ROLE guest LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
    with pytest.raises(StorageError, match=r"cannot be written \(permission denied .*grant the right"):
        postgres_ledger(url.replace("postgres@", "guest@"), Dial())


def test_a_role_that_may_not_use_the_schema_is_told_so_not_that_it_is_damaged(url: str) -> None:
    running().sql("DO $$ BEGIN CREATE ROLE guest LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
    postgres_ledger(url, Dial()).close()
    with pytest.raises(StorageError, match=r"the role may not use the schema \w+ — grant it USAGE") as refused:
        postgres_ledger(url.replace("postgres@", "guest@"), Dial())
    assert not isinstance(refused.value, CorruptError)


# --- damage ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        ("UPDATE events SET actor = 'eve' WHERE seq = 2", "event 2 was changed"),
        ("DELETE FROM events WHERE seq = 2", "event 2 is missing"),
        ("DELETE FROM leaves WHERE seq = 2", "event 2 has no leaf"),
        ("UPDATE ledger_head SET size = 1, frontier = (SELECT hash FROM leaves WHERE seq = 1)", "the ledger's head"),
        ("UPDATE projects SET name = 'x' WHERE to_seq IS NULL", "table projects, the row since event"),
        ("DELETE FROM ledger_head", "its head is missing"),
        ("DROP TABLE leaves", "is damaged"),
    ],
)
def test_damage_is_named(ledger: PostgresLedger, url: str, damage: str, fault: str) -> None:
    append(ledger, P, created("p"))
    append(ledger, P, ProjectRenamed("q"), ProjectRenamed("r"), expected=1)
    assert list(ledger.verify()) == []
    sql(url, damage)
    assert any(fault in text for text in ledger.verify()), list(ledger.verify())


def test_the_same_commands_make_the_same_rows_as_in_sqlite(url: str, tmp_path: Path) -> None:
    """Every event of a story in which nearly everything happens, given to PostgreSQL at the same time."""
    sqlite = sqlite_store(tmp_path)
    story(sqlite)
    dial = Dial()
    ledger = postgres_ledger(url, dial)
    for each in sqlite.ledger.read():
        dial.now = each.recorded_at
        wanted = evolve(command(), id=CommandId(each.event_id))
        context = evolve(
            wanted.context,
            organisation=each.organisation,
            actor=each.actor,
            on_behalf_of=each.on_behalf_of,
            run=each.run,
            source=each.source,
        )
        ledger.transact(evolve(wanted, context=context), decided(Append(each.stream, each.position - 1, (each.event,))))
    assert ledger.head().size == sqlite.ledger.head().size > 50
    assert list(ledger.dump()) == list(sqlite.ledger.dump())
    assert list(ledger.verify()) == []
    ledger.close()


def test_the_story_of_nearly_everything(url: str, tmp_path: Path) -> None:
    clock = Clock()
    store = store_on(postgres_ledger(url, clock), tmp_path, clock)
    story(store)
    assert list(store.ledger.verify()) == []
    rows = list(store.ledger.dump())
    assert store.ledger.rebuild() == store.ledger.head().size
    assert list(store.ledger.dump()) == rows
    store.ledger.close()
