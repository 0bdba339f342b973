"""Read a journal back: events and steps for replay, rows for reports.

Reads while a session writes, and after a crash. Every damage becomes a `JournalError` that says
where; nothing is skipped silently. Knows nothing of engines or reports.
"""

from __future__ import annotations

import math
import os
import sqlite3
from collections.abc import Generator, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import msgspec

from core.model.account import AttributedFill, EquityPoint, Fill
from core.model.codes import Mode, Purpose, Regime
from core.model.errors import JournalError
from core.model.events import AnyEvent
from core.model.instrument import Instrument
from core.model.record import FundingRow, PricePoint, SessionRecord
from core.model.step import Step
from core.utils import journal_schema as schema
from core.utils.journal import check_version, unusable

T = TypeVar("T")

_LAST_EQUITY = "(SELECT coalesce(max(seq), 0) FROM equity)"


class JournalReader:
    """Read one journal; a context manager.

    Raises
    ------
    JournalError
        If the file is missing, damaged, no journal, or from a newer version.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.torn_bytes = _torn_bytes(self.path)
        """Bytes at the end of the file that was being written, too few for a record."""
        if not self.path.is_file():
            raise JournalError(
                f"journal should exist, was missing: {path}; name the journal.sqlite of a session"
            )
        try:
            self._db = sqlite3.connect(_uri(self.path), uri=True, isolation_level=None)
        except sqlite3.Error as error:
            raise unusable(self.path, error) from error
        try:
            self._check_header()
        except JournalError:
            self._db.close()
            raise

    def __enter__(self) -> JournalReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the file."""
        self._db.close()

    @property
    def last_seq(self) -> int:
        """Sequence number of the last durable event, 0 if there is none."""
        return int(self._first("SELECT coalesce(max(seq), 0) FROM events")[0])

    @property
    def event_count(self) -> int:
        """How many events the journal holds."""
        return int(self._first("SELECT count(*) FROM events")[0])

    def facts(self) -> dict[str, str]:
        """Return what is known of the session: name, mode, account, version, config, end."""
        return dict(self._rows("SELECT key, value FROM session"))

    def verify(self) -> None:
        """Let SQLite check every page of the file; reads all of it."""
        answer = self._first("PRAGMA quick_check(1)")[0]
        if answer != "ok":
            raise unusable(self.path, str(answer))

    def events(self, after: int = 0) -> Generator[AnyEvent, None, None]:
        """Yield the events after a number, in order; a hole in their numbers is an error."""
        decoder = msgspec.msgpack.Decoder(AnyEvent)
        previous = after
        statement = "SELECT seq, body FROM events WHERE seq > ? ORDER BY seq"
        for seq, body in self._rows(statement, (after,)):
            event: AnyEvent = self._decoded(decoder, body, f"event {seq}")
            if event.seq != seq or (previous and seq != previous + 1):
                raise unusable(
                    self.path,
                    f"event after {previous} should be {previous + 1}, was {event.seq} (row {seq})",
                )
            previous = seq
            yield event

    def steps(self, after: int = 0) -> Iterator[Step]:
        """Yield the steps that were not quiet and follow a number, in order."""
        decoder = msgspec.msgpack.Decoder(Step)
        statement = "SELECT seq, body FROM steps WHERE seq > ? ORDER BY seq"
        for seq, body in self._rows(statement, (after,)):
            yield self._decoded(decoder, body, f"step {seq}")

    def checkpoints(self) -> Iterator[tuple[int, str]]:
        """Yield ``(seq, state_hash)`` in order."""
        yield from self._rows("SELECT seq, state_hash FROM checkpoints ORDER BY seq")

    def session_record(self) -> SessionRecord:
        """Rebuild what a report needs from the rows on disk.

        Fills and funding end with the last equity sample, which a running session or one that was
        killed is past: what came later is not in that equity. Prices are closes of the finest
        candles between the session's first and last event; the bar still open at the end is
        stamped with the end.

        Raises
        ------
        JournalError
            If the journal is damaged or has no first event.
        """
        facts = self.facts()
        if "mode" not in facts:
            raise unusable(self.path, "it has no SessionStarted event")
        try:
            return self._session_record(facts)
        except ValueError as error:  # a word in a row that is none of our codes
            raise unusable(self.path, error) from error

    def _session_record(self, facts: dict[str, str]) -> SessionRecord:
        start_ns = int(facts["start_ns"])
        end_ns = int(self._first("SELECT coalesce(max(ts_recv_ns), 0) FROM events")[0])
        instruments = self.instruments()
        return SessionRecord(
            session=facts["session"],
            mode=Mode(facts["mode"]),
            start_ns=start_ns,
            end_ns=end_ns,
            instruments=instruments,
            equity=tuple(self._equity()),
            fills=tuple(self._fills()),
            funding=tuple(
                FundingRow(*row)
                for row in self._rows(
                    "SELECT ts_ns, coin, funding_micro FROM funding"
                    f" WHERE seq <= {_LAST_EQUITY} ORDER BY ts_ns, coin"
                )
            ),
            prices=self._prices(instruments, start_ns=start_ns, end_ns=end_ns),
            order_counts=dict(
                self._rows("SELECT status, count(*) FROM orders GROUP BY status ORDER BY status")
            ),
            refusal_counts=dict(
                self._rows("SELECT code, count(*) FROM refusals GROUP BY code ORDER BY code")
            ),
            state_reason=facts.get("end_reason", ""),
        )

    def instruments(self) -> dict[str, Instrument]:
        """Return the instruments listed during the session, by coin, as last listed."""
        decoder = msgspec.msgpack.Decoder(Instrument)
        rows = self._rows("SELECT coin, body FROM instruments ORDER BY asset, coin")
        return {coin: self._decoded(decoder, body, f"instrument {coin}") for coin, body in rows}

    def _equity(self) -> Iterator[EquityPoint]:
        rows = self._rows(
            "SELECT ts_ns, equity_micro, cash_micro, exposure_gross_micro, drawdown"
            " FROM equity ORDER BY seq"
        )
        for ts_ns, equity, cash, gross, drawdown in rows:
            # SQLite has no NaN; it comes back as NULL.
            yield EquityPoint(
                ts_ns, equity, cash, gross, math.nan if drawdown is None else drawdown
            )

    def _fills(self) -> Iterator[AttributedFill]:
        rows = self._rows(
            "SELECT coin, oid, cloid, tid, is_buy, px, lots, fee_micro, is_maker,"
            " closed_pnl_micro, start_position_lots, ts_ns, is_liquidation,"
            " strategy, purpose, regime, arrival_mid_x2 FROM fills"
            f" WHERE seq <= {_LAST_EQUITY} ORDER BY seq, i"
        )
        for row in rows:
            names = Fill.__struct_fields__
            values = dict(zip(names, row[: len(names)], strict=True))
            for name in ("is_buy", "is_maker", "is_liquidation"):
                values[name] = bool(values[name])
            strategy, purpose, regime, arrival_mid_x2 = row[len(names) :]
            yield AttributedFill(
                fill=Fill(**values),
                strategy=strategy,
                purpose=None if purpose is None else Purpose(purpose),
                regime=Regime(regime),
                arrival_mid_x2=arrival_mid_x2,
            )

    def _prices(
        self, instruments: dict[str, Instrument], *, start_ns: int, end_ns: int
    ) -> dict[str, tuple[PricePoint, ...]]:
        rows = self._rows(
            "SELECT c.coin, min(c.open_ns + c.interval_ns, ?), c.close_px FROM candles c"
            " JOIN (SELECT coin, min(interval_ns) AS finest FROM candles GROUP BY coin) f"
            " ON f.coin = c.coin AND f.finest = c.interval_ns"
            " WHERE c.open_ns + c.interval_ns > ? AND c.open_ns < ? ORDER BY c.coin, c.open_ns",
            (end_ns, start_ns, end_ns),
        )
        prices: dict[str, list[PricePoint]] = {}
        for coin, ts_ns, close_px in rows:
            if coin in instruments:
                point = PricePoint(ts_ns, instruments[coin].px_float(close_px))
                prices.setdefault(coin, []).append(point)
        return {coin: tuple(points) for coin, points in prices.items()}

    def _check_header(self) -> None:
        version = int(self._first("PRAGMA user_version")[0])
        application = int(self._first("PRAGMA application_id")[0])
        check_version(self.path, version)
        if version == 0 or application != schema.APPLICATION_ID:
            raise unusable(self.path, "it is another SQLite file, or was never finished")
        self._first("SELECT count(*) FROM session")

    def _rows(self, statement: str, values: tuple[Any, ...] = ()) -> Iterator[Any]:
        try:
            yield from self._db.execute(statement, values)
        except sqlite3.Error as error:
            raise unusable(self.path, error) from error

    def _first(self, statement: str) -> Any:
        for row in self._rows(statement):
            return row
        raise unusable(self.path, f"no answer to {statement!r}")

    def _decoded(self, decoder: msgspec.msgpack.Decoder[T], body: bytes, what: str) -> T:
        try:
            return decoder.decode(body)
        except msgspec.MsgspecError as error:
            raise unusable(self.path, f"{what} cannot be decoded: {error}") from error


def _torn_bytes(path: Path) -> int:
    """Return how much was written to the write-ahead log after its last whole transaction.

    Source: SQLite documentation, the WAL file format: a header (page size in bytes 8 to 11, salts
    in 16 to 23), then frames of a header (commit mark in bytes 4 to 7, the same salts in 8 to 15)
    and a page. Frames with other salts are left from earlier and are no part of the log.
    """
    log = path.with_name(path.name + "-wal")
    try:
        with log.open("rb") as file:
            header = file.read(schema.WAL_HEADER_BYTES)
            page_bytes = int.from_bytes(header[8:12], "big")
            if len(header) < schema.WAL_HEADER_BYTES or page_bytes == 0:
                return len(header)
            whole = written = file.tell()
            while frame := file.read(schema.WAL_FRAME_HEADER_BYTES):
                page = file.read(page_bytes)
                if frame[8:16] != header[16:24][: max(0, len(frame) - 8)]:
                    break
                written = file.tell()
                if len(page) == page_bytes and int.from_bytes(frame[4:8], "big"):
                    whole = written
            return written - whole
    except OSError:
        return 0


def _uri(path: Path) -> str:
    """Open read-only; a finished journal in a folder we may not write needs no lock files."""
    wal = path.with_name(path.name + "-wal")
    is_frozen = not os.access(path.parent, os.W_OK) and not wal.exists()
    return f"{path.absolute().as_uri()}?mode=ro" + ("&immutable=1" if is_frozen else "")
