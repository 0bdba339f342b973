"""Tables and statements of a SQLite journal: the one place that knows its layout.

``events`` and ``steps`` are the truth; every other table is derived from them while writing, so
that sessions can be asked in SQL. Knows nothing of when anything is written.
"""

from __future__ import annotations

SCHEMA_VERSION = 1
WAL_HEADER_BYTES = 32
WAL_FRAME_HEADER_BYTES = 24
APPLICATION_ID = 0x4E6F7661
"""``Nova`` in ASCII; tells a journal from any other SQLite file."""

TABLES = (
    "CREATE TABLE session (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID",
    "CREATE TABLE events (seq INTEGER PRIMARY KEY, ts_exch_ns INTEGER NOT NULL,"
    " ts_recv_ns INTEGER NOT NULL, kind TEXT NOT NULL, body BLOB NOT NULL) STRICT",
    "CREATE TABLE steps (seq INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT",
    "CREATE TABLE checkpoints (seq INTEGER PRIMARY KEY, state_hash TEXT NOT NULL) STRICT",
    "CREATE TABLE instruments (coin TEXT PRIMARY KEY, asset INTEGER NOT NULL,"
    " px_scale INTEGER NOT NULL, lots_scale INTEGER NOT NULL, body BLOB NOT NULL)"
    " STRICT, WITHOUT ROWID",
    "CREATE TABLE orders (order_key TEXT PRIMARY KEY, seq INTEGER NOT NULL, cloid TEXT NOT NULL,"
    " oid INTEGER NOT NULL, coin TEXT NOT NULL, strategy TEXT NOT NULL, purpose TEXT NOT NULL,"
    " is_buy INTEGER NOT NULL, px INTEGER NOT NULL, lots INTEGER NOT NULL,"
    " lots_left INTEGER NOT NULL, reduce_only INTEGER NOT NULL, trigger_px INTEGER NOT NULL,"
    " status TEXT NOT NULL, sent_ns INTEGER NOT NULL, changed_ns INTEGER NOT NULL,"
    " detail TEXT NOT NULL) STRICT, WITHOUT ROWID",
    "CREATE TABLE fills (seq INTEGER NOT NULL, i INTEGER NOT NULL, ts_ns INTEGER NOT NULL,"
    " coin TEXT NOT NULL, oid INTEGER NOT NULL, cloid TEXT, tid INTEGER NOT NULL,"
    " is_buy INTEGER NOT NULL, px INTEGER NOT NULL, lots INTEGER NOT NULL,"
    " fee_micro INTEGER NOT NULL, is_maker INTEGER NOT NULL, closed_pnl_micro INTEGER NOT NULL,"
    " start_position_lots INTEGER NOT NULL, is_liquidation INTEGER NOT NULL,"
    " strategy TEXT NOT NULL, purpose TEXT, regime TEXT NOT NULL,"
    " arrival_mid_x2 INTEGER NOT NULL, PRIMARY KEY (seq, i)) STRICT, WITHOUT ROWID",
    "CREATE TABLE refusals (seq INTEGER NOT NULL, i INTEGER NOT NULL, ts_ns INTEGER NOT NULL,"
    " code TEXT NOT NULL, coin TEXT NOT NULL, strategy TEXT NOT NULL, detail TEXT NOT NULL,"
    " PRIMARY KEY (seq, i)) STRICT, WITHOUT ROWID",
    "CREATE TABLE funding (ts_ns INTEGER NOT NULL, coin TEXT NOT NULL, seq INTEGER NOT NULL,"
    " funding_micro INTEGER NOT NULL, position_lots INTEGER NOT NULL, rate_1h REAL,"
    " PRIMARY KEY (ts_ns, coin)) STRICT, WITHOUT ROWID",
    "CREATE TABLE ledger (seq INTEGER PRIMARY KEY, ts_ns INTEGER NOT NULL, kind TEXT NOT NULL,"
    " amount_micro INTEGER NOT NULL, hash TEXT NOT NULL) STRICT",
    "CREATE TABLE equity (seq INTEGER PRIMARY KEY, ts_ns INTEGER NOT NULL,"
    " equity_micro INTEGER NOT NULL, cash_micro INTEGER NOT NULL,"
    " exposure_gross_micro INTEGER NOT NULL, drawdown REAL) STRICT",
    "CREATE TABLE candles (coin TEXT NOT NULL, interval_ns INTEGER NOT NULL,"
    " open_ns INTEGER NOT NULL, open_px INTEGER NOT NULL, high_px INTEGER NOT NULL,"
    " low_px INTEGER NOT NULL, close_px INTEGER NOT NULL, volume_lots INTEGER NOT NULL,"
    " PRIMARY KEY (coin, interval_ns, open_ns)) STRICT, WITHOUT ROWID",
)
"""Sizes are lots, prices price units, money micro-USDC, times nanoseconds UTC.

``orders`` holds the latest state by cloid (``oid:N`` for a foreign order without one), ``fills``
one row per fill in the order applied, ``candles`` the last state of each bar.
"""

VIEWS = (
    "CREATE VIEW fills_usdc AS SELECT f.seq,"
    " strftime('%Y-%m-%d %H:%M:%f', f.ts_ns / 1e9, 'unixepoch') AS time_utc, f.coin,"
    " CASE f.is_buy WHEN 1 THEN 'buy' ELSE 'sell' END AS side,"
    " f.px * 1.0 / n.px_scale AS price, f.lots * 1.0 / n.lots_scale AS coins,"
    " (f.px * 1.0 / n.px_scale) * (f.lots * 1.0 / n.lots_scale) AS notional_usdc,"
    " f.fee_micro / 1e6 AS fee_usdc, f.closed_pnl_micro / 1e6 AS closed_pnl_usdc,"
    " f.is_maker, f.is_liquidation, f.strategy, f.purpose, f.regime, f.cloid, f.oid, f.tid"
    " FROM fills f LEFT JOIN instruments n USING (coin)",
    "CREATE VIEW orders_usdc AS SELECT o.seq,"
    " strftime('%Y-%m-%d %H:%M:%f', o.changed_ns / 1e9, 'unixepoch') AS time_utc, o.coin,"
    " o.strategy, o.purpose, CASE o.is_buy WHEN 1 THEN 'buy' ELSE 'sell' END AS side,"
    " o.px * 1.0 / n.px_scale AS price, o.trigger_px * 1.0 / n.px_scale AS trigger_price,"
    " o.lots * 1.0 / n.lots_scale AS coins, o.lots_left * 1.0 / n.lots_scale AS coins_left,"
    " o.reduce_only, o.status, o.detail, o.cloid, o.oid"
    " FROM orders o LEFT JOIN instruments n USING (coin)",
    "CREATE VIEW funding_usdc AS SELECT p.seq,"
    " strftime('%Y-%m-%d %H:%M:%f', p.ts_ns / 1e9, 'unixepoch') AS time_utc, p.coin,"
    " p.funding_micro / 1e6 AS funding_usdc, p.position_lots * 1.0 / n.lots_scale AS"
    " position_coins, p.rate_1h FROM funding p LEFT JOIN instruments n USING (coin)",
    "CREATE VIEW ledger_usdc AS SELECT seq,"
    " strftime('%Y-%m-%d %H:%M:%f', ts_ns / 1e9, 'unixepoch') AS time_utc, kind,"
    " amount_micro / 1e6 AS amount_usdc, hash FROM ledger",
    "CREATE VIEW equity_usdc AS SELECT seq,"
    " strftime('%Y-%m-%d %H:%M:%f', ts_ns / 1e9, 'unixepoch') AS time_utc,"
    " equity_micro / 1e6 AS equity_usdc, cash_micro / 1e6 AS cash_usdc,"
    " exposure_gross_micro / 1e6 AS exposure_gross_usdc, drawdown FROM equity",
)
"""The same in UTC texts, float USDC and coins, for people; never read back by the program."""


def insert(table: str, column_count: int) -> str:
    """Return the statement that adds one row to an append-only table."""
    return f"INSERT INTO {table} VALUES ({_places(column_count)})"


def replace(table: str, column_count: int) -> str:
    """Return the statement that writes the latest state of a keyed row."""
    return f"INSERT OR REPLACE INTO {table} VALUES ({_places(column_count)})"


def insert_once(table: str, column_count: int) -> str:
    """Return the statement that adds a keyed row unless the key is there already."""
    return f"INSERT OR IGNORE INTO {table} VALUES ({_places(column_count)})"


def _places(count: int) -> str:
    return ", ".join("?" * count)
