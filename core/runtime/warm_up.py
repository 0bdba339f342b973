"""Compile all kernels once, with a line that says so; later starts read them from the cache."""

from __future__ import annotations

import sys
import time


def warm_up() -> float:
    """Compile or load every kernel; return the seconds it took."""
    started = time.perf_counter()
    from core.simulation import kernels as simulation_kernels
    from core.strategies import kernels as strategy_kernels
    from core.utils import indicators

    for module in (indicators, strategy_kernels, simulation_kernels):
        module.warm_up()
    return time.perf_counter() - started


def main() -> None:
    """Warm up as a command: ``python -m core.runtime.warm_up``."""
    sys.stdout.write("compiling kernels (once per machine) … ")
    sys.stdout.flush()
    sys.stdout.write(f"{warm_up():.1f} s\n")


if __name__ == "__main__":
    main()
