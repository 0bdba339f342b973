"""The truth on disk: every event, what followed from it, and tables to ask in SQL.

One writer, any number of readers (`core.utils.journal_reader`). Rows are encoded once, buffered,
and written together; `SqliteJournal.commit` returns only when they would survive a power cut.
Knows nothing of engines, venues or reports.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from core.model.account import OrderRow
from core.model.errors import JournalError
from core.model.events import (
    AnyEvent,
    CandleChanged,
    CandlesLoaded,
    Event,
    FundingPaid,
    InstrumentsListed,
    LedgerMoved,
    SessionEnded,
    SessionStarted,
)
from core.model.market import Candle
from core.model.step import Step
from core.utils import journal_schema as schema
from core.utils.redact import scrub

ROWS_BUFFERED_MAX = 1_000
SECONDS_BUFFERED_MAX = 1.0
_WAL_PAGES_BEFORE_CHECKPOINT = 4_000
_LOCK_WAIT_MS = 2_000

Row = tuple[Any, ...]


class SqliteJournal:
    """Write one session's journal; implements `core.model.ports.JournalSink`.

    Not safe for several threads at once. Rows that nobody committed become durable by themselves
    after `ROWS_BUFFERED_MAX` rows, or with the first row `SECONDS_BUFFERED_MAX` later.

    Parameters
    ----------
    path : Path
        File to create, or to continue if it holds the same session. Its folder is created.
    session : str
        Name of the session.
    is_durable : bool
        Wait for the disk at each commit. Off, a power cut may cost the latest rows (a crash of
        the process still costs nothing committed); fit for backtests only.
    bytes_max : int, optional
        Size at which the journal counts as full.

    Raises
    ------
    JournalError
        If the file is from a newer version, of another session, damaged or not writable.

    Notes
    -----
    After the first failure `is_failed` stays true, `append`, `record`, `checkpoint` and `commit`
    raise that same error again, and `close` is silent: nothing is ever accepted and then dropped.
    """

    def __init__(
        self,
        path: Path,
        *,
        session: str,
        is_durable: bool = True,
        bytes_max: int | None = None,
    ) -> None:
        self.path = Path(path)
        self.session = session
        self._failure: JournalError | None = None
        self._encode = msgspec.msgpack.Encoder().encode
        self._events: list[Row] = []
        self._steps: list[Row] = []
        self._rows: dict[str, list[Row]] = {}
        self._candles: dict[tuple[str, int, int], Candle] = {}
        self._committed_at = time.monotonic()
        self._project: dict[type[Event], Callable[[Any], None]] = {
            SessionStarted: self._project_start,
            SessionEnded: self._project_end,
            InstrumentsListed: self._project_instruments,
            CandleChanged: self._project_candle,
            CandlesLoaded: self._project_candles,
            FundingPaid: self._project_funding,
            LedgerMoved: self._project_ledger,
        }
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        except (sqlite3.Error, OSError) as error:
            raise JournalError(f"journal should be writable at {path}, was: {error}") from error
        try:
            self._open(is_durable=is_durable, bytes_max=bytes_max)
            self._last_seq = int(self._value("SELECT coalesce(max(seq), 0) FROM events"))
        except sqlite3.Error as error:
            self._db.close()
            raise unusable(self.path, error) from error
        except JournalError:
            self._db.close()
            raise

    @property
    def is_failed(self) -> bool:
        """Whether writing failed; nothing more is accepted then."""
        return self._failure is not None

    @property
    def last_seq(self) -> int:
        """Sequence number of the last event appended, 0 before the first."""
        return self._last_seq

    def append(self, event: AnyEvent) -> None:
        """Add one event that has its ``seq``; costs a few microseconds, mostly in memory."""
        self._refuse_if_failed()
        seq = event.seq
        assert seq == self._last_seq + 1 or not self._last_seq, (
            f"invariant: events are appended without gaps, was {seq} after {self._last_seq}"
        )
        self._last_seq = seq
        kind = type(event)
        self._events.append(
            (seq, event.ts_exch_ns, event.ts_recv_ns, kind.__name__, self._encode(event))
        )
        project = self._project.get(kind)
        if project is not None:
            project(event)
        if (
            len(self._events) >= ROWS_BUFFERED_MAX
            or time.monotonic() - self._committed_at > SECONDS_BUFFERED_MAX
        ):
            self.commit()

    def record(self, step: Step) -> None:
        """Add what followed from the event; a quiet step is derivable and not stored."""
        self._refuse_if_failed()
        if step.is_quiet:
            return
        self._steps.append((step.seq, self._encode(step)))
        if step.orders:
            self._add(schema.replace("orders", 17), [_order_row(step, o) for o in step.orders])
        if step.fills:
            rows = [_fill_row(step, i, f) for i, f in enumerate(step.fills)]
            self._add(schema.insert("fills", 19), rows)
        if step.refusals:
            self._add(
                schema.insert("refusals", 7),
                [
                    (step.seq, i, step.ts_ns, r.code.value, r.coin, r.strategy, r.detail)
                    for i, r in enumerate(step.refusals)
                ],
            )
        if step.equity is not None:
            self._add(
                schema.insert("equity", 6), [(step.seq, *msgspec.structs.astuple(step.equity))]
            )

    def checkpoint(self, seq: int, state_hash: str) -> None:
        """Note the engine's state hash after event ``seq``, for replay to compare."""
        self._refuse_if_failed()
        self._add(schema.replace("checkpoints", 2), [(seq, state_hash)])

    def commit(self) -> None:
        """Make everything so far durable.

        Raises
        ------
        JournalError
            If the disk is full or broken. What earlier commits confirmed stays readable.
        """
        self._refuse_if_failed()
        if not (self._events or self._steps or self._rows or self._candles):
            return
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._write()
            self._db.execute("COMMIT")
        except (sqlite3.Error, OSError) as error:
            self._fail(error)
        self._events.clear()
        self._steps.clear()
        self._rows.clear()
        self._candles.clear()
        self._committed_at = time.monotonic()

    def close(self) -> None:
        """Commit and release the file; after a failure only release it."""
        if self._failure is None:
            self.commit()
        with contextlib.suppress(sqlite3.Error):
            self._db.close()
        if self._failure is None:
            self._failure = JournalError(f"journal should be open, was closed: {self.path}")

    def _open(self, *, is_durable: bool, bytes_max: int | None) -> None:
        self._db.execute(f"PRAGMA busy_timeout = {_LOCK_WAIT_MS}")
        version = int(self._value("PRAGMA user_version"))
        if version == 0:
            self._refuse_foreign_file()
        else:
            check_version(self.path, version)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute(f"PRAGMA synchronous = {'FULL' if is_durable else 'OFF'}")
        self._db.execute(f"PRAGMA wal_autocheckpoint = {_WAL_PAGES_BEFORE_CHECKPOINT}")
        if bytes_max is not None:
            page_bytes = int(self._value("PRAGMA page_size"))
            self._db.execute(f"PRAGMA max_page_count = {max(1, bytes_max // page_bytes)}")
        if version == 0:
            self._create()
        self._refuse_other_session()
        if is_durable:
            self._lay_out_log()

    def _create(self) -> None:
        """Lay out the tables in one transaction: the version is there if and only if they are."""
        self._db.execute("BEGIN IMMEDIATE")
        for statement in (*schema.TABLES, *schema.VIEWS):
            self._db.execute(statement)
        self._db.execute(schema.insert("session", 2), ("session", self.session))
        self._db.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
        self._db.execute(f"PRAGMA user_version = {schema.SCHEMA_VERSION}")
        self._db.execute("COMMIT")

    def _lay_out_log(self) -> None:
        """Write the write-ahead log at its full length once, so that commits only overwrite it.

        A file that grows makes every commit wait for its new length as well, several times as long
        as for the data. Frames without a valid checksum are no part of the log.

        Source: SQLite documentation, the WAL file format.
        """
        log = self.path.with_name(self.path.name + "-wal")
        frame_bytes = int(self._value("PRAGMA page_size")) + schema.WAL_FRAME_HEADER_BYTES
        length = schema.WAL_HEADER_BYTES + _WAL_PAGES_BEFORE_CHECKPOINT * frame_bytes
        # Only for speed: where the room is missing, the commit that needs it will say so.
        with contextlib.suppress(OSError), log.open("r+b") as file:
            missing = length - file.seek(0, os.SEEK_END)
            if missing > 0:
                file.write(bytes(missing))
                file.flush()
                os.fsync(file.fileno())

    def _refuse_foreign_file(self) -> None:
        if self._value("SELECT count(*) FROM sqlite_master"):
            raise JournalError(
                f"journal should be new or one of ours, was another SQLite file: {self.path}; "
                "give another state directory"
            )

    def _refuse_other_session(self) -> None:
        found = self._value("SELECT value FROM session WHERE key = 'session'")
        if found != self.session:
            raise JournalError(
                f"journal should belong to session {self.session!r}, was of {found!r}: "
                f"{self.path}; give another state directory"
            )

    def _value(self, statement: str) -> Any:
        return self._db.execute(statement).fetchone()[0]

    def _add(self, statement: str, rows: list[Row]) -> None:
        self._rows.setdefault(statement, []).extend(rows)

    def _write(self) -> None:
        self._db.executemany(schema.insert("events", 5), self._events)
        self._db.executemany(schema.insert("steps", 2), self._steps)
        for statement, rows in self._rows.items():
            self._db.executemany(statement, rows)
        candles = [(*key[:2], *msgspec.structs.astuple(c)) for key, c in self._candles.items()]
        self._db.executemany(schema.replace("candles", 8), candles)

    def _fail(self, error: Exception) -> NoReturn:
        with contextlib.suppress(sqlite3.Error):
            self._db.execute("ROLLBACK")
        self._failure = JournalError(
            f"journal should take new rows, was refused after event "
            f"{self._committed_seq()}: {scrub(str(error))} ({self.path}); free disk space, check "
            "positions and orders at the venue, and start again"
        )
        raise self._failure from error

    def _committed_seq(self) -> int:
        return self._events[0][0] - 1 if self._events else self._last_seq

    def _refuse_if_failed(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _project_start(self, event: SessionStarted) -> None:
        facts = {
            "mode": event.mode.value,
            "account": event.account,
            "version": event.version,
            "config_json": event.config_json,
            "seed": str(event.seed),
            "start_ns": str(event.ts_recv_ns),
        }
        self._add(schema.insert_once("session", 2), list(facts.items()))

    def _project_end(self, event: SessionEnded) -> None:
        self._add(schema.replace("session", 2), [("end_reason", event.reason)])

    def _project_instruments(self, event: InstrumentsListed) -> None:
        self._add(
            schema.replace("instruments", 5),
            [
                (i.coin, i.asset, i.px_scale, i.lots_scale, self._encode(i))
                for i in event.instruments
            ],
        )

    def _project_candle(self, event: CandleChanged) -> None:
        # A bar changes with every trade; only its last state in the buffer is written.
        self._candles[event.coin, event.interval_ns, event.candle.open_ns] = event.candle

    def _project_candles(self, event: CandlesLoaded) -> None:
        for candle in event.candles:
            self._candles[event.coin, event.interval_ns, candle.open_ns] = candle

    def _project_funding(self, event: FundingPaid) -> None:
        # The stream and a later query may both tell of one payment; hour and coin identify it.
        ts_ns = event.ts_exch_ns or event.ts_recv_ns
        facts = (event.funding_micro, event.position_lots, event.rate_1h)
        self._add(schema.insert_once("funding", 6), [(ts_ns, event.coin, event.seq, *facts)])

    def _project_ledger(self, event: LedgerMoved) -> None:
        ts_ns = event.ts_exch_ns or event.ts_recv_ns
        self._add(
            schema.insert("ledger", 5),
            [(event.seq, ts_ns, event.kind, event.amount_micro, event.hash)],
        )


def check_version(path: Path, version: int) -> None:
    """Refuse a journal that this version of the program does not understand.

    Raises
    ------
    JournalError
        If the layout is newer, naming both versions.
    """
    if version > schema.SCHEMA_VERSION:
        raise JournalError(
            f"journal should have layout version {schema.SCHEMA_VERSION} or older, was version "
            f"{version}: {path}; it was written by a newer Nova, use that one to read it"
        )


def unusable(path: Path, error: Exception | str) -> JournalError:
    """Say that a file cannot be used as a journal: truncated, overwritten, locked, no journal."""
    return JournalError(
        f"journal should be an intact SQLite file of ours, was not: {path}: {error}; "
        "keep it for inspection, and restore a copy or start a new session"
    )


def _order_row(step: Step, o: OrderRow) -> Row:
    return (
        *(o.cloid or f"oid:{o.oid}", step.seq, o.cloid, o.oid, o.coin, o.strategy),
        *(o.purpose.value, o.is_buy, o.px, o.lots, o.lots_left, o.reduce_only, o.trigger_px),
        *(o.status.value, o.sent_ns, o.changed_ns, o.detail),
    )


def _fill_row(step: Step, i: int, attributed: Any) -> Row:
    f = attributed.fill
    return (
        *(step.seq, i, f.ts_exch_ns, f.coin, f.oid, f.cloid, f.tid, f.is_buy, f.px, f.lots),
        *(f.fee_micro, f.is_maker, f.closed_pnl_micro, f.start_position_lots, f.is_liquidation),
        attributed.strategy,
        None if attributed.purpose is None else attributed.purpose.value,
        attributed.regime.value,
        attributed.arrival_mid_x2,
    )
