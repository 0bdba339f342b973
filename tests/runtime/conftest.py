"""What all runtime tests share: compiled kernels, and a log that ends with each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from core.utils.logger import configure


@pytest.fixture(autouse=True)
def quiet_log(compiled_kernels: None) -> Iterator[None]:
    """Sessions log to files of their own; the last one is let go before its folder is."""
    yield
    configure(to_stderr=False)
