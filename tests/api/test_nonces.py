"""Nonces: new every time, fresh, and safe between threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from hypothesis import given
from hypothesis import strategies as st

from core.api.nonces import NonceSource
from core.model.time import NS_PER_MS
from core.utils.clock import ManualClock

START_NS = 1_700_000_000_123 * NS_PER_MS


@given(st.lists(st.floats(0, 0.01), max_size=50))
def test_nonces_grow_and_follow_the_clock(steps: list[float]) -> None:
    clock = ManualClock(START_NS)
    nonces = NonceSource(clock)
    last = 0
    for step in steps:
        nonce = nonces.next()
        assert nonce > last
        assert nonce >= clock.now_ns() // NS_PER_MS
        last = nonce
        clock.jump(step)
    assert nonces.next() - START_NS // NS_PER_MS <= sum(steps) * 1000 + len(steps)


def test_the_first_nonce_is_the_time() -> None:
    assert NonceSource(ManualClock(START_NS)).next() == 1_700_000_000_123


def test_threads_in_one_millisecond_never_share_a_nonce() -> None:
    nonces = NonceSource(ManualClock(START_NS))

    def take(_: int) -> list[int]:
        return [nonces.next() for _ in range(500)]

    with ThreadPoolExecutor(8) as pool:
        taken = [nonce for batch in pool.map(take, range(8)) for nonce in batch]
    assert len(set(taken)) == len(taken) == 4_000
    assert max(taken) - min(taken) == 3_999
