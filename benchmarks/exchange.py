"""The local exchange under load: its own process on one side, one client process on the other.

Latency and the limits per address are off, so that what is measured is the exchange's own work:
HTTP, the signature's recovery, matching, and the answer. Orders are signed before the clock starts.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from benchmarks.timing import Timing
from core.api.actions import decode_action
from core.api.signing import Signer

ORDERS = 3_000
BATCHES = 300
BATCH_SIZE = 20
ROUNDS = 3
ORDERS_PER_ACCOUNT = 100
"""What a market maker may have open; checking margin takes longer the more orders rest."""
IN_FLIGHT = 8
"""Connections of the one client process, each with one request under way."""
PACED_PER_SECOND = 500
PACED_SECONDS = 6
SUBSCRIBERS = 20
CROWD = 100
CROWD_MINUTES = 30
WEEK_DAYS = 7
GROWTH_MAX = 0.05
STARTS = 3
MS_PER_MIN, MS_PER_DAY = 60_000, 86_400_000
PX = 60_000
_WORDS = ("--perps-only", "--no-ip-limits", "--latency", "none", "--end-with-parent")


class Exchange:
    """A process of the exchange."""

    def __init__(self, *words: str) -> None:
        started = time.perf_counter()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "core.simulation.server", "--port", "0", *_WORDS, *words],
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None, "invariant: its output is read"
        ready = json.loads(self._process.stdout.readline())
        self.start_s = time.perf_counter() - started
        self.port = int(ready["port"])
        self.url = str(ready["base_url"])

    @property
    def rss_kib(self) -> int:
        """Memory that is resident."""
        lines = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(10)


class Line:
    """One HTTP connection that is kept open; as little client as possible."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, port: int) -> Line:
        """Connect."""
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def post(self, path: str, body: bytes) -> bytes:
        """Send one request and return the body of its answer, which must be 200."""
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        self._writer.write(head.encode() + body)
        answer = await self._reader.readuntil(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200"), f"invariant: answered, was {answer!r}"
        at = answer.index(b"Content-Length: ") + 16
        return await self._reader.readexactly(int(answer[at : answer.index(b"\r\n", at)]))

    def close(self) -> None:
        """Disconnect."""
        self._writer.close()


def run() -> list[Timing]:
    """Measure throughput, answers among subscribers, a crowd of readers, a week, and the start."""
    paced, paced_99 = asyncio.run(_paced())
    return [
        asyncio.run(_flood("signed order, answered", ORDERS, 1)),
        asyncio.run(_flood(f"order in a signed batch of {BATCH_SIZE}", BATCHES, BATCH_SIZE)),
        paced,
        paced_99,
        asyncio.run(_crowd()),
        asyncio.run(_week()),
        _start(),
    ]


# --- orders --------------------------------------------------------------------------------------


def _signer(i: int) -> Signer:
    return Signer("0x" + hashlib.blake2b(f"bench {i}".encode(), digest_size=32).hexdigest())


def _funds(count: int) -> list[str]:
    return [w for i in range(count) for w in ("--fund", f"{_signer(i).address}=1000000")]


def _bodies(count: int, size: int, first_account: int) -> list[bytes]:
    """Return signed batches of bids that rest, no account with more than it may have open."""
    nonce, bodies = time.time_ns() // 1_000_000, []
    for i in range(count):
        action: dict[str, Any] = {"type": "order", "orders": [], "grouping": "na"}
        for j in range(size):
            px = str(PX + (i * size + j) % 4_000)
            wire = {"a": 0, "b": True, "p": px, "s": "0.001", "r": False}
            action["orders"].append({**wire, "t": {"limit": {"tif": "Gtc"}}})
        signer = _signer(first_account + i * size // ORDERS_PER_ACCOUNT)
        bodies.append(_signed(signer, action, nonce + i))
    return bodies


def _signed(signer: Signer, action: dict[str, Any], nonce: int) -> bytes:
    decoded = decode_action(msgspec.json.encode(action))
    signature = signer.sign_l1(decoded, nonce, is_mainnet=False)
    return msgspec.json.encode({"action": action, "nonce": nonce, "signature": signature})


def _quotes(count: int) -> list[bytes]:
    """Return what a market maker sends: an order, its cancel, another order, its cancel."""
    nonce, bodies = time.time_ns() // 1_000_000, []
    for i in range(0, count, 2):
        signer = _signer(i // ORDERS_PER_ACCOUNT)
        cloid = f"0x{i:032x}"
        wire = {"a": 0, "b": True, "p": str(PX + i % 4_000), "s": "0.001", "r": False}
        wire |= {"t": {"limit": {"tif": "Alo"}}, "c": cloid}
        place = {"type": "order", "orders": [wire], "grouping": "na"}
        cancel = {"type": "cancelByCloid", "cancels": [{"asset": 0, "cloid": cloid}]}
        bodies += [_signed(signer, place, nonce + i), _signed(signer, cancel, nonce + i + 1)]
    return bodies


async def _flood(name: str, count: int, size: int) -> Timing:
    """Send signed orders as fast as they are answered; seconds per order."""
    accounts = count * size // ORDERS_PER_ACCOUNT
    exchange = Exchange(*_funds(accounts * ROUNDS))
    try:
        lines = [await Line.open(exchange.port) for _ in range(IN_FLIGHT)]
        rounds = []
        for number in range(ROUNDS):
            bodies = _bodies(count, size, number * accounts)
            started = time.perf_counter()
            pending = iter(bodies)
            answers = await asyncio.gather(*(_send_all(line, pending) for line in lines))
            rounds.append((time.perf_counter() - started) / (count * size))
            resting = sum(answer.count(b'"resting"') for part in answers for answer in part)
            assert resting == count * size, f"invariant: all orders rest, were {resting}"
        for line in lines:
            line.close()
    finally:
        exchange.stop()
    return Timing(name, statistics.median(rounds), min(rounds), max(rounds), count * size * ROUNDS)


async def _send_all(line: Line, pending: Iterator[bytes]) -> list[bytes]:
    return [await line.post("/exchange", body) for body in pending]


async def _paced() -> tuple[Timing, Timing]:
    """Send quotes at a steady pace while others listen; how long each waits for its answer."""
    count = PACED_PER_SECOND * PACED_SECONDS
    exchange = Exchange(*_funds(count // ORDERS_PER_ACCOUNT))
    try:
        async with aiohttp.ClientSession(exchange.url) as http:
            wishes = [{"type": kind, "coin": "BTC"} for kind in ("l2Book", "bbo", "trades")]
            wishes.append({"type": "orderUpdates", "user": _signer(0).address})
            crowd = [await _listen(http, wishes) for _ in range(SUBSCRIBERS)]
            lines = asyncio.Queue[Line]()
            for _ in range(IN_FLIGHT * 4):
                lines.put_nowait(await Line.open(exchange.port))
            waits: list[float] = []
            tasks, bodies = [], _quotes(count)
            started = time.perf_counter()
            for i, body in enumerate(bodies):
                due = started + i / PACED_PER_SECOND
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                tasks.append(asyncio.ensure_future(_timed(lines, body, waits)))
            await asyncio.gather(*tasks)
            for task in crowd:
                task.cancel()
    finally:
        exchange.stop()
    waits.sort()
    name = f"order or cancel answered at {PACED_PER_SECOND} a second, {SUBSCRIBERS} subscribers"
    slow = waits[int(len(waits) * 0.99)]
    return (
        Timing(f"{name}: median", statistics.median(waits), waits[0], waits[-1], len(waits)),
        Timing(f"{name}: 99th percentile", slow, waits[0], waits[-1], len(waits)),
    )


async def _timed(lines: asyncio.Queue[Line], body: bytes, waits: list[float]) -> None:
    started = time.perf_counter()
    line = await lines.get()
    await line.post("/exchange", body)
    waits.append(time.perf_counter() - started)
    lines.put_nowait(line)


async def _listen(http: aiohttp.ClientSession, wishes: list[dict[str, str]]) -> asyncio.Task[None]:
    """Subscribe and read whatever comes."""
    ws = await http.ws_connect("/ws")
    for wish in wishes:
        await ws.send_json({"method": "subscribe", "subscription": wish})

    async def read() -> None:
        async for _ in ws:
            pass

    return asyncio.ensure_future(read())


# --- readers, time, start ------------------------------------------------------------------------


async def _crowd() -> Timing:
    """Let a crowd read one book for half an hour of the market; seconds per frame delivered."""
    exchange = Exchange("--clock", "manual", "--market", "synthetic", "--coins", "BTC")
    try:
        async with aiohttp.ClientSession(
            exchange.url, connector=aiohttp.TCPConnector(limit=0)
        ) as http:
            await _advance(http, MS_PER_MIN)
            crowd = [await http.ws_connect("/ws") for _ in range(CROWD)]
            for ws in crowd:
                wish = {"type": "l2Book", "coin": "BTC"}
                await ws.send_json({"method": "subscribe", "subscription": wish})
            readers = [asyncio.ensure_future(_count_books(ws)) for ws in crowd]
            started = time.perf_counter()
            await _advance(http, CROWD_MINUTES * MS_PER_MIN)
            for ws in crowd:
                await ws.send_str('{"method":"ping"}')
            counts = await asyncio.gather(*readers)
            spent = time.perf_counter() - started
    finally:
        exchange.stop()
    wanted = CROWD_MINUTES * 10
    assert len(set(counts)) == 1, f"invariant: all hear the same, counts were {set(counts)}"
    assert counts[0] >= wanted, f"invariant: a book every 6 s, were {counts[0]} of {wanted}"
    name = f"book frame to each of {CROWD} subscribers"
    per_frame = spent / sum(counts)
    return Timing(name, per_frame, per_frame, per_frame, sum(counts))


async def _count_books(ws: aiohttp.ClientWebSocketResponse) -> int:
    count = 0
    while True:
        text = str((await ws.receive(60.0)).data)
        count += text.startswith('{"channel":"l2Book"')
        if text == '{"channel":"pong"}':
            return count


async def _week() -> Timing:
    """Play a week of the sample; seconds per day, and memory must not grow."""
    exchange = Exchange("--clock", "manual", *_funds(1))
    try:
        timeout = aiohttp.ClientTimeout(total=600.0)
        async with aiohttp.ClientSession(exchange.url, timeout=timeout) as http:
            await _advance(http, MS_PER_DAY)
            before, days = exchange.rss_kib, []
            for _ in range(WEEK_DAYS):
                started = time.perf_counter()
                await _advance(http, MS_PER_DAY)
                days.append(time.perf_counter() - started)
            growth = exchange.rss_kib / before - 1
    finally:
        exchange.stop()
    sys.stderr.write(f"memory of the exchange over a simulated week: {growth:+.1%}\n")
    assert growth < GROWTH_MAX, f"invariant: memory is bounded, grew by {growth:.1%}"
    return Timing("simulated day", statistics.median(days), min(days), max(days), WEEK_DAYS)


async def _advance(http: aiohttp.ClientSession, ms: int) -> None:
    async with http.post("/clock", json={"advance_ms": ms}) as response:
        assert response.status == 200, f"invariant: time moves, was {response.status}"


def _start() -> Timing:
    """Start the process, until it serves."""
    times = []
    for _ in range(STARTS):
        exchange = Exchange()
        times.append(exchange.start_s)
        exchange.stop()
    return Timing("start until it serves", statistics.median(times), min(times), max(times), STARTS)
