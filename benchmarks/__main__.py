"""Run all measurements: ``make bench``.

Writes ``benchmarks/results.json`` and ``docs/benchmarks.md``; ``ARGS="--print"`` only prints.
"""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import json
import platform
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks import engine, exchange, feed, path, signing, venue
from benchmarks.timing import Timing
from core.runtime.warm_up import warm_up

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results.json"
PAGE = ROOT / "docs" / "benchmarks.md"
PACKAGES = ("numpy", "numba", "msgspec", "coincurve", "aiohttp", "hyperliquid-python-sdk")
SUITES: dict[str, Callable[[], list[Timing]]] = {
    "signing": signing.run,
    "feed": feed.run,
    "path": path.run,
    "engine": engine.run,
    "venue": venue.run,
    "exchange": exchange.run,
}
_INTRODUCTION = """# Benchmarks

Written by `make bench`; every table comes from one run in one process, contestants in interleaved
rounds, medians of rounds. Absolute times belong to the machine named here and move with its load;
the ratio column compares with the first row of its table. A ratio of 2 means twice the time.
"""
_HEAD = (
    "| what | median | fastest | slowest | per second | ratio |",
    "| --- | ---: | ---: | ---: | ---: | ---: |",
)


def main() -> int:
    """Measure everything and write it down."""
    warm_up()
    suites = {}
    for name, run in SUITES.items():
        sys.stderr.write(f"measuring {name} …\n")
        suites[name] = run()
    document = {"machine": _machine(), "suites": {n: _rows(t) for n, t in suites.items()}}
    page = _page(document)
    sys.stdout.write(page)
    if "--print" not in sys.argv[1:]:
        RESULTS.write_text(json.dumps(document, indent=2) + "\n")
        PAGE.write_text(page)
    return 0


def _rows(timings: list[Timing]) -> list[dict[str, object]]:
    first = timings[0].median_s
    return [
        {
            "name": t.name,
            "median_us": round(t.median_s * 1e6, 2),
            "min_us": round(t.min_s * 1e6, 2),
            "max_us": round(t.max_s * 1e6, 2),
            "per_second": round(1 / t.median_s),
            "ratio": round(t.median_s / first, 2),
            "calls": t.count,
        }
        for t in timings
    ]


def _machine() -> dict[str, str]:
    facts = {
        "date": dt.datetime.now(tz=dt.UTC).date().isoformat(),
        "processor": _processor(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }
    return facts | {name: importlib.metadata.version(name) for name in PACKAGES}


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{len(names)} × {names[0]}" if names else platform.processor() or "unknown"


def _page(document: dict[str, dict[str, object]]) -> str:
    facts = ", ".join(f"{key} {value}" for key, value in document["machine"].items())
    lines = [_INTRODUCTION, f"Machine: {facts}."]
    for name, rows in document["suites"].items():
        assert isinstance(rows, list), "invariant: a suite is a list of rows"
        lines += [
            "",
            f"## {name}",
            "",
            "| what | median | fastest | slowest | per second | ratio |",
        ]
        lines += ["| --- | ---: | ---: | ---: | ---: | ---: |"]
        lines += [_line(row) for row in rows]
    return "\n".join(lines) + "\n"


def _line(row: dict[str, object]) -> str:
    return (
        f"| {row['name']} | {row['median_us']} µs | {row['min_us']} µs | {row['max_us']} µs "
        f"| {row['per_second']:,} | {row['ratio']} |"
    )


if __name__ == "__main__":
    sys.exit(main())
