"""What all tests share: reproducible property tests, and kernels compiled before the clock runs."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

# Tests never open a window or look for a display.
os.environ.setdefault("MPLBACKEND", "Agg")

# `ci` gives the same examples in every run; `explore` looks further:
# make test ARGS="--hypothesis-profile explore"
settings.register_profile(
    "ci", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("explore", deadline=None, max_examples=2_000, print_blob=True)
settings.load_profile("ci")


@pytest.fixture(scope="session")
def compiled_kernels() -> None:
    """Compile or load all kernels, for tests that measure or that limit their own time."""
    from core.runtime.warm_up import warm_up

    warm_up()
