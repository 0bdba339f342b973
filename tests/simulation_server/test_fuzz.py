"""Whatever is sent, the venue answers in its own words, keeps running and keeps the books right.

The short lane is part of the suite; ``make fuzz`` looks further with another seed each time.
"""

from __future__ import annotations

import asyncio
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.simulation_server.fuzz_kit import FuzzVenue, Input, inputs

INPUTS_PER_VENUE = 25
INPUTS = int(os.environ.get("NOVA_FUZZ_INPUTS", "2500"))
IS_LONG = INPUTS > 10_000


def types() -> list[str]:
    async def known() -> list[str]:
        return sorted(FuzzVenue().server.info_types)

    return asyncio.run(known())


async def run(sequence: list[Input]) -> None:
    venue = FuzzVenue()
    failures: list[BaseException] = []
    venue.server.pump.on_failure = failures.append
    try:
        for where, what in sequence:
            await venue.send(where, what)
        venue.check_books()
    finally:
        await venue.close()
    assert not failures, failures


@pytest.mark.timeout(0 if IS_LONG else 120)
@settings(
    max_examples=INPUTS // INPUTS_PER_VENUE,
    derandomize=not IS_LONG,
    database=None,
    print_blob=True,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(sequence=st.lists(inputs(types()), min_size=INPUTS_PER_VENUE, max_size=INPUTS_PER_VENUE))
def test_any_input_is_answered_and_nothing_breaks(sequence: list[Input]) -> None:
    asyncio.run(run(sequence))
