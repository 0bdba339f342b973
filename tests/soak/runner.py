"""Runs worlds by seed: ``make soak SEEDS=1-200``; a seed that fails prints how to repeat it."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import traceback
from pathlib import Path

from tests.soak import invariants
from tests.soak.loop import VirtualLoop, run
from tests.soak.world import SETTLE_SECONDS_MAX, World

MINUTES = 20.0


def play(seed: int, directory: Path, minutes: float = MINUTES) -> tuple[World, float]:
    """Play one world to its end and check it; return it and the longest time without a stop."""
    loop = VirtualLoop()
    world = World(loop, seed, directory, minutes)
    protection = invariants.Protection()
    world.watchers.append(protection)

    async def live() -> None:
        await world.live()
        # The last change of an order may still be on its way.
        is_equal = await world.until(lambda: not invariants.difference(world), SETTLE_SECONDS_MAX)
        assert is_equal, invariants.difference(world)
        await world.bot.stop()
        invariants.check_quiet(world)

    run(loop, live())
    return world, protection.worst_seconds


def main(words: list[str] | None = None) -> int:
    """Play a range of seeds; return 1 if any of them failed."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("seeds", help="such as 7 or 1-200")
    parser.add_argument("--minutes", type=float, default=MINUTES)
    options = parser.parse_args(words)
    first, _, last = options.seeds.partition("-")
    failed = []
    for seed in range(int(first), int(last or first) + 1):
        started = time.perf_counter()
        with tempfile.TemporaryDirectory() as directory:
            try:
                world, worst = play(seed, Path(directory), options.minutes)
            except Exception:
                failed.append(seed)
                traceback.print_exc()
                print(f"seed {seed} FAILED; repeat it with: make soak SEEDS={seed}", flush=True)
                continue
        alone = "" if world.has_hand else f", longest without a stop {worst:.0f} s"
        print(
            f"seed {seed}: {len(world.bots)} lives, {world.network.request_count} requests{alone}, "
            f"{time.perf_counter() - started:.1f} s",
            flush=True,
        )
    print(f"{len(failed)} failed {failed or ''}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
