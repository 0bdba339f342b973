"""One local exchange for all foreign clients; each has an account of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.clients.venue import Venue


@pytest.fixture(scope="session")
def venue() -> Iterator[Venue]:
    venue = Venue()
    yield venue
    venue.stop()
