"""The journal: everything comes back, nothing acknowledged is lost, every damage has a name."""

from __future__ import annotations

import resource
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from core.model.account import EquityPoint
from core.model.codes import Mode, OrderStatus
from core.model.errors import ExitCode, JournalError
from core.model.record import FundingRow, PricePoint
from core.model.time import NS_PER_HOUR, NS_PER_MIN
from core.utils import journal as journal_module
from core.utils.journal import SqliteJournal
from core.utils.journal_reader import JournalReader
from tests.utils.journal_rows import BTC, SOL, START_NS, bbo, busy, fill, order, quiet, story

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "session" / "journal.sqlite"


def write_story(path: Path) -> None:
    journal = SqliteJournal(path, session="demo-1")
    for event, step in story():
        journal.append(event)
        journal.record(step)
    journal.checkpoint(12, "cafe")
    journal.close()


def query(path: Path, statement: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect(path) as db:
        return db.execute(statement).fetchall()


def test_events_steps_and_checkpoints_come_back_equal(path: Path) -> None:
    write_story(path)
    with JournalReader(path) as reader:
        reader.verify()
        assert list(reader.events()) == [event for event, _ in story()]
        assert list(reader.steps()) == [step for _, step in story() if not step.is_quiet]
        assert list(reader.checkpoints()) == [(12, "cafe")]
        assert reader.last_seq == reader.event_count == 12


def test_session_record_is_rebuilt_from_rows(path: Path) -> None:
    write_story(path)
    with JournalReader(path) as reader:
        record = reader.session_record()
    end_ns = START_NS + 61 * NS_PER_MIN + 12
    assert (record.session, record.mode, record.state_reason) == (
        "demo-1",
        Mode.DEMO,
        "duration reached",
    )
    assert (record.start_ns, record.end_ns) == (START_NS, end_ns)
    assert record.instruments == {"BTC": BTC, "SOL": SOL}
    assert record.fills == (fill(1), fill(2, purpose=None))
    assert [point.equity_micro for point in record.equity] == [10_000_000_000, 9_999_998_750]
    assert record.funding == (FundingRow(START_NS + NS_PER_HOUR, "BTC", -1_250),), (
        "a payment told twice counts once"
    )
    assert record.order_counts == {"cancelled": 1, "filled": 1}, "latest state, foreign order too"
    assert record.refusal_counts == {"DATA_STALE": 2}
    assert record.prices == {
        "BTC": (
            PricePoint(START_NS + NS_PER_MIN, 97_050.0),
            PricePoint(START_NS + 2 * NS_PER_MIN, 97_100.0),
            PricePoint(end_ns, 97_200.0),
        )
    }, "closes of the session only; the open bar is stamped with the end"


def test_views_speak_usdc_and_coins(path: Path) -> None:
    write_story(path)
    assert query(
        path,
        "SELECT time_utc, side, price, coins, round(notional_usdc, 6), fee_usdc, purpose"
        " FROM fills_usdc WHERE tid = 1",
    ) == [("2025-05-05 00:00:00.000", "buy", 97_123.5, 0.0006, 58.2741, -0.000012, "entry")]
    assert query(
        path, "SELECT price, coins, coins_left, status FROM orders_usdc WHERE oid = 7"
    ) == [(97_123.5, 0.001, 0.0004, "filled")]
    assert query(path, "SELECT amount_usdc, kind FROM ledger_usdc") == [(10_000.0, "deposit")]
    assert query(path, "SELECT funding_usdc, position_coins FROM funding_usdc") == [
        (-0.00125, 0.0006)
    ]
    assert query(path, "SELECT equity_usdc FROM equity_usdc ORDER BY seq") == [
        (10_000.0,),
        (9_999.99875,),
    ]


def test_kind_is_the_class_name_of_the_event(path: Path) -> None:
    write_story(path)
    rows = query(path, "SELECT kind FROM events ORDER BY seq")
    assert [kind for (kind,) in rows] == [type(event).__name__ for event, _ in story()]


def test_quiet_steps_are_not_stored(path: Path) -> None:
    journal = SqliteJournal(path, session="s")
    journal.append(bbo(1))
    journal.record(quiet(1))
    journal.close()
    assert query(path, "SELECT count(*) FROM steps") == [(0,)]


def test_a_drawdown_that_is_not_a_number_survives(path: Path) -> None:
    journal = SqliteJournal(path, session="s")
    for event, step in list(story())[:2]:
        journal.append(event)
        journal.record(step)
    journal.record(busy(2, equity=EquityPoint(START_NS, 1, 1, 0, float("nan"))))
    journal.close()
    with JournalReader(path) as reader:
        (point,) = reader.session_record().equity
    assert point.drawdown != point.drawdown


def test_a_reader_sees_exactly_what_was_committed_while_writing(path: Path) -> None:
    journal = SqliteJournal(path, session="s")
    journal.append(bbo(1))
    journal.commit()
    journal.append(bbo(2))
    with JournalReader(path) as reader:
        assert reader.last_seq == 1
        journal.commit()
        assert reader.last_seq == 2
    journal.close()


def test_a_full_buffer_becomes_durable_by_itself(path: Path) -> None:
    journal = SqliteJournal(path, session="s")
    for seq in range(1, journal_module.ROWS_BUFFERED_MAX + 1):
        journal.append(bbo(seq))
    with JournalReader(path) as reader:
        assert reader.last_seq == journal_module.ROWS_BUFFERED_MAX
    journal.close()


def test_old_rows_become_durable_with_the_next_one(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(journal_module.time, "monotonic", lambda: now[0])
    journal = SqliteJournal(path, session="s")
    journal.append(bbo(1))
    now[0] += journal_module.SECONDS_BUFFERED_MAX + 0.1
    journal.append(bbo(2))
    with JournalReader(path) as reader:
        assert reader.last_seq == 2
    journal.close()


def test_a_session_continues_its_own_journal(path: Path) -> None:
    journal = SqliteJournal(path, session="s")
    journal.append(bbo(1))
    journal.close()
    journal = SqliteJournal(path, session="s")
    assert journal.last_seq == 1
    journal.append(bbo(2))
    journal.close()
    with JournalReader(path) as reader:
        assert [event.seq for event in reader.events()] == [1, 2]


def test_another_session_may_not_write_into_it(path: Path) -> None:
    SqliteJournal(path, session="mine").close()
    with pytest.raises(JournalError, match="'yours', was of 'mine'"):
        SqliteJournal(path, session="yours")


def test_a_hole_in_the_sequence_is_a_broken_invariant(path: Path) -> None:
    journal = SqliteJournal(path, session="s")
    journal.append(bbo(1))
    with pytest.raises(AssertionError, match="was 3 after 1"):
        journal.append(bbo(3))


@pytest.mark.parametrize("open_it", [JournalReader, lambda p: SqliteJournal(p, session="demo-1")])
def test_a_newer_journal_is_refused_naming_both_versions(path: Path, open_it: Any) -> None:
    write_story(path)
    query(path, "PRAGMA user_version = 7")
    with pytest.raises(
        JournalError, match=r"version 1 or older, was version 7.*newer Nova"
    ) as info:
        open_it(path)
    assert info.value.exit_code == ExitCode.JOURNAL


@pytest.mark.parametrize("open_it", [JournalReader, lambda p: SqliteJournal(p, session="s")])
@pytest.mark.parametrize(
    "content", [b"not a database at all " * 99, b"SQLite format 3\x00" + b"x" * 9]
)
def test_a_file_that_is_no_database_is_refused(path: Path, content: bytes, open_it: Any) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(JournalError, match="intact SQLite file of ours"):
        open_it(path)
    assert path.read_bytes() == content, "a damaged file is evidence and stays as it is"


@pytest.mark.parametrize("open_it", [JournalReader, lambda p: SqliteJournal(p, session="s")])
def test_another_programs_database_is_refused(path: Path, open_it: Any) -> None:
    path.parent.mkdir()
    query(path, "CREATE TABLE theirs (x)")
    with pytest.raises(JournalError, match="another SQLite file"):
        open_it(path)


def test_a_missing_journal_is_named(path: Path) -> None:
    with pytest.raises(JournalError, match="should exist, was missing"):
        JournalReader(path)
    assert not path.exists()


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
def test_a_truncated_journal_is_an_error_never_a_shorter_session(path: Path, share: float) -> None:
    journal = SqliteJournal(path, session="s")
    for seq in range(1, 3_001):
        journal.append(bbo(seq))
    journal.close()
    body = path.read_bytes()
    path.write_bytes(body[: int(len(body) * share)])
    with pytest.raises(JournalError), JournalReader(path) as reader:
        list(reader.events())


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        ("UPDATE events SET body = x'c1' WHERE seq = 5", "event 5 cannot be decoded"),
        ("DELETE FROM events WHERE seq = 5", "event after 4 should be 5, was 6"),
        (
            "UPDATE events SET body = (SELECT body FROM events WHERE seq = 8) WHERE seq = 5",
            "event after 4 should be 5, was 8",
        ),
    ],
)
def test_damaged_rows_are_named(path: Path, damage: str, text: str) -> None:
    write_story(path)
    query(path, damage)
    with JournalReader(path) as reader, pytest.raises(JournalError, match=text):
        list(reader.events())


def test_unknown_words_in_rows_are_damage(path: Path) -> None:
    write_story(path)
    query(path, "UPDATE fills SET regime = 'sideways'")
    with JournalReader(path) as reader, pytest.raises(JournalError, match="sideways"):
        reader.session_record()


def test_without_a_first_event_there_is_no_record(path: Path) -> None:
    SqliteJournal(path, session="s").close()
    with JournalReader(path) as reader, pytest.raises(JournalError, match="no SessionStarted"):
        reader.session_record()


def test_a_full_disk_is_one_clear_error_and_loses_nothing_confirmed(path: Path) -> None:
    journal = SqliteJournal(path, session="s", bytes_max=300_000)
    confirmed = 0
    with pytest.raises(JournalError, match="database or disk is full") as first:
        for seq in range(1, 20_000):
            journal.append(bbo(seq))
            journal.record(busy(seq, orders=(order(OrderStatus.WORKING),)))
            journal.commit()
            confirmed = seq
    assert journal.is_failed
    assert f"after event {confirmed}:" in str(first.value)
    assert confirmed > 100
    for refused in (
        lambda: journal.append(bbo(confirmed + 2)),
        lambda: journal.record(busy(confirmed + 1)),
        lambda: journal.checkpoint(1, "x"),
        journal.commit,
    ):
        with pytest.raises(JournalError) as again:
            refused()
        assert again.value is first.value
    journal.close()
    with JournalReader(path) as reader:
        assert [event.seq for event in reader.events()] == list(range(1, confirmed + 1))


WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.utils.journal_rows import bbo
from core.model.errors import JournalError
from core.utils.journal import SqliteJournal
journal = SqliteJournal(Path({path!r}), session="s")
try:
    for seq in range(1, {count}):
        journal.append(bbo(seq))
        if seq % 3 == 0:
            journal.commit()
            print(seq, flush=True)
except JournalError as error:
    print(error, file=sys.stderr)
    sys.exit(error.exit_code)
"""


def start_writer(path: Path, count: int, **options: Any) -> subprocess.Popen[str]:
    program = WRITER.format(root=str(ROOT), path=str(path), count=count)
    return subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options,
    )  # fmt: skip


def test_what_commit_confirmed_is_readable_after_kill_9(path: Path) -> None:
    writer = start_writer(path, 10**9)
    assert writer.stdout is not None
    confirmed = [int(writer.stdout.readline()) for _ in range(300)][-1]
    writer.send_signal(signal.SIGKILL)
    rest, _ = writer.communicate()
    confirmed = max([confirmed, *(int(line) for line in rest.splitlines()[:-1])])
    assert writer.returncode == -signal.SIGKILL
    with JournalReader(path) as reader:
        reader.verify()
        seqs = [event.seq for event in reader.events()]
    assert seqs == list(range(1, len(seqs) + 1))
    assert len(seqs) >= confirmed >= 900
    journal = SqliteJournal(path, session="s")
    assert journal.last_seq == len(seqs), "and the session may go on"
    journal.close()


def test_a_write_the_system_refuses_ends_like_a_full_disk(path: Path) -> None:
    """The operating system itself says no (file size limit), in the middle of a run."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))

    writer = start_writer(path, 10**9, preexec_fn=limit)
    out, err = writer.communicate()
    confirmed = int(out.splitlines()[-1])
    assert writer.returncode == ExitCode.JOURNAL
    assert "journal should take new rows" in err
    assert "Traceback" not in err
    with JournalReader(path) as reader:
        assert reader.last_seq == confirmed
        assert len(list(reader.events())) == confirmed


def test_backtests_may_trade_durability_for_speed(path: Path) -> None:
    journal = SqliteJournal(path, session="s", is_durable=False)
    journal.append(bbo(1))
    journal.close()
    with JournalReader(path) as reader:
        assert reader.last_seq == 1
    with pytest.raises(JournalError, match="was closed"):
        journal.append(bbo(2))
    journal.close()
