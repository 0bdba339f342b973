"""What a dead session left is rebuilt exactly, from whatever is whole of it, or refused."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.model.errors import ExitCode, JournalError, PortInUseError
from core.runtime import session as session_module
from core.runtime.account_home import AccountHome, home_name
from core.runtime.recovery import Recovered, recover
from core.utils.journal_reader import JournalReader
from core.utils.logger import configure
from tests.engines.fakes import ACCOUNT, flat, long
from tests.runtime.crashes import CrashWorld

NAME = home_name("https://api.example.test", ACCOUNT)


@pytest.fixture(autouse=True)
def hushed(quiet_log: None) -> Iterator[None]:
    configure(to_stderr=False)
    with mock.patch.object(session_module, "SNAPSHOT_EVERY", 40):
        yield


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> CrashWorld:
    """A session that traded and is still running, its last words not yet on disk."""
    world = CrashWorld(tmp_path_factory.mktemp("left"), lambda view: [long()])
    with mock.patch.object(session_module, "SNAPSHOT_EVERY", 40):
        world.start()
        world.play(50)
    assert world.session is not None and world._snapshots is not None
    world.session.make_durable()
    world._snapshots.close()
    return world


@pytest.fixture
def left(world: CrashWorld, tmp_path: Path) -> Path:
    """A copy of what lies on disk while it runs."""
    copy = tmp_path / "test-1"
    shutil.copytree(world.state_dir / "test-1", copy)
    (copy / "journal.sqlite-shm").unlink()
    assert len(list(copy.glob("snapshot-*.bin"))) == 3
    return copy


def rebuilt(world: CrashWorld, directory: Path) -> Recovered:
    return recover(directory, lambda config, account: world.engine_maker(config, account=account))


def test_a_snapshot_and_the_rest_is_the_whole_journal(world: CrashWorld, left: Path) -> None:
    near = rebuilt(world, left)
    for path in left.glob("snapshot-*.bin"):
        path.unlink()
    far = rebuilt(world, left)
    assert near.packed == far.packed == world.engine.snapshot()
    assert near.replayed_count < 40 < far.replayed_count == near.at_seq
    assert (near.notes, far.notes) == ((), ())


@pytest.mark.parametrize("damage", ["torn", "altered", "empty", "of another layout"])
def test_a_damaged_snapshot_is_passed_over_and_said(
    world: CrashWorld, left: Path, damage: str
) -> None:
    whole = rebuilt(world, left)
    newest = max(left.glob("snapshot-*.bin"))
    body = newest.read_bytes()
    at = len(body) // 2
    newest.write_bytes(
        {
            "torn": body[:at],
            "altered": body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :],
            "empty": b"",
            "of another layout": body.replace(b"\xa6layout\x01", b"\xa6layout\x02"),
        }[damage]
    )
    found = rebuilt(world, left)
    assert found.packed == whole.packed
    assert found.replayed_count == whole.replayed_count + 40
    assert len(found.notes) == 1 and newest.name in found.notes[0]


def test_without_any_whole_snapshot_the_journal_is_enough(world: CrashWorld, left: Path) -> None:
    whole = rebuilt(world, left)
    for path in left.glob("snapshot-*.bin"):
        path.write_bytes(b"\x00")
    found = rebuilt(world, left)
    assert (found.packed, len(found.notes)) == (whole.packed, 3)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0.0, 1.0))
def test_a_journal_torn_at_any_byte_is_cut_at_its_last_whole_record(
    world: CrashWorld, share: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    copy = tmp_path_factory.mktemp("torn") / "test-1"
    shutil.copytree(world.state_dir / "test-1", copy)
    (copy / "journal.sqlite-shm").unlink()
    for path in copy.glob("snapshot-*.bin"):
        path.unlink()
    log = copy / "journal.sqlite-wal"
    keeps = int(share * log.stat().st_size)
    os.truncate(log, keeps)
    try:
        found = rebuilt(world, copy)
    except JournalError as error:
        assert "keep it for inspection" in str(error) or "begin with" in str(error)
        assert share < 0.5, "only a journal whose beginning is gone says nothing"
        return
    engine = world.engine_maker(world.config, account=ACCOUNT)
    with JournalReader(world.state_dir / "test-1" / "journal.sqlite") as reader:
        for event in reader.events():
            if event.seq <= found.at_seq:
                engine.process(event)
    assert found.packed == engine.snapshot()
    # Pages of 4096 bytes behind 24 bytes of header each, behind 32 bytes of header.
    torn = (keeps - 32) % (4096 + 24) if keeps >= 32 else keeps
    assert not torn or any("cut off" in note for note in found.notes)


def test_a_snapshot_that_is_ahead_of_a_torn_journal_is_the_state(
    world: CrashWorld, left: Path
) -> None:
    whole = rebuilt(world, left)
    log = left / "journal.sqlite-wal"
    os.truncate(log, int(log.stat().st_size * 0.7))
    found = rebuilt(world, left)
    assert found.at_seq == whole.at_seq - whole.replayed_count
    assert any("only in the snapshot" in note for note in found.notes)


def test_a_journal_overwritten_in_the_middle_is_refused(world: CrashWorld, left: Path) -> None:
    with JournalReader(left / "journal.sqlite") as reader:
        reader.verify()
    # Copied back whole, so that the damage is in the file itself.
    import sqlite3

    db = sqlite3.connect(left / "journal.sqlite")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.execute("PRAGMA journal_mode = DELETE")
    db.close()
    body = bytearray((left / "journal.sqlite").read_bytes())
    body[4096 : len(body) : 7] = b"\xff" * len(range(4096, len(body), 7))
    (left / "journal.sqlite").write_bytes(bytes(body))
    with pytest.raises(JournalError, match="intact SQLite file"):
        rebuilt(world, left)


def test_a_journal_of_other_strategies_is_refused_not_guessed(
    world: CrashWorld, left: Path
) -> None:
    for path in left.glob("snapshot-*.bin"):
        path.unlink()
    other = CrashWorld(left.parent / "other", lambda view: [flat()])
    with pytest.raises(JournalError, match="lead to the same decisions again") as caught:
        rebuilt(other, left)
    assert caught.value.exit_code is ExitCode.JOURNAL


# --- the account's folder -----------------------------------------------------------------------


def test_the_first_session_of_an_account_continues_nothing(tmp_path: Path) -> None:
    with AccountHome(tmp_path, NAME) as home:
        assert home.last_session() is None
        assert home.directory.stat().st_mode & 0o777 == 0o700


def test_the_last_session_is_continued(tmp_path: Path) -> None:
    with AccountHome(tmp_path, NAME) as home:
        for name in ("live-1", "live-2"):
            (tmp_path / name).mkdir()
            home.begin(name)
        assert home.last_session() == tmp_path / "live-2"
    with AccountHome(tmp_path, home_name("https://other.test", ACCOUNT)) as other:
        assert other.last_session() is None, "another venue's account is another account"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"{", "unreadable"),
        (b'{"layout": 9, "sessions": ["live-1"]}', "layout 1, was 9"),
        (b'{"layout": 1, "sessions": ["live-1"]}', "live-1 should be there, was missing"),
    ],
)
def test_what_cannot_be_told_of_the_past_is_refused_with_a_way_out(
    tmp_path: Path, content: bytes, text: str
) -> None:
    with AccountHome(tmp_path, NAME) as home:
        (home.directory / "sessions.json").write_bytes(content)
        with pytest.raises(JournalError, match=text) as caught:
            home.last_session()
    assert f"move {home.directory} away" in str(caught.value)


def test_two_programs_never_trade_one_account(tmp_path: Path) -> None:
    with AccountHome(tmp_path, NAME):
        with pytest.raises(PortInUseError, match=f"in use by process {os.getpid()}"):
            AccountHome(tmp_path, NAME)
        AccountHome(tmp_path, home_name("other", ACCOUNT)).close()
    AccountHome(tmp_path, NAME).close()


HOLDER = """
import sys, time
from pathlib import Path
from core.runtime.account_home import AccountHome
home = AccountHome(Path(sys.argv[1]), sys.argv[2])
print("held", flush=True)
sys.stdin.read()
"""


def test_a_lock_whose_program_was_killed_is_taken_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path), NAME],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdin is not None and holder.stdout is not None
    try:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(PortInUseError, match=f"process {holder.pid}"):
            AccountHome(tmp_path, NAME)
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        with AccountHome(tmp_path, NAME):
            assert "lock_stale" in caplog.text
    finally:
        holder.kill()
        holder.wait()
        holder.stdin.close()
        holder.stdout.close()
