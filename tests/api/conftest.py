from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.api.fake_venue import FakeVenue


@pytest.fixture
async def venue() -> AsyncIterator[FakeVenue]:
    fake = await FakeVenue().start()
    yield fake
    await fake.stop()
