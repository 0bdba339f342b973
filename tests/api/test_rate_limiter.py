"""The request budget in virtual time: never over the cap, most urgent first, reserve kept."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.api.rate_limiter import (
    AddressBudget,
    Lane,
    RateLimiter,
    answer_weight,
    request_weight,
)
from core.model.time import NS_PER_MIN
from core.utils.clock import ManualClock


def limiter(clock: ManualClock, cap: int = 100, **options: float) -> RateLimiter:
    return RateLimiter(clock, ip_weight_per_minute=cap, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "count", "weight"),
    [
        ("exchange", 0, 1),
        ("exchange", 1, 1),
        ("exchange", 39, 1),
        ("exchange", 40, 2),
        ("exchange", 79, 2),
        ("exchange", 80, 3),
        ("l2Book", 0, 2),
        ("clearinghouseState", 0, 2),
        ("userRole", 0, 60),
        ("meta", 0, 20),
        ("something new", 0, 20),
    ],
)
def test_weights_of_requests(kind: str, count: int, weight: int) -> None:
    assert request_weight(kind, count) == weight


@pytest.mark.parametrize(
    ("kind", "rows", "weight"),
    [("userFillsByTime", 19, 0), ("userFillsByTime", 2000, 100), ("candleSnapshot", 500, 8)],
)
def test_weights_of_answers(kind: str, rows: int, weight: int) -> None:
    assert answer_weight(kind, rows) == weight
    assert answer_weight("meta", rows) == 0


async def test_what_fits_leaves_at_once_and_is_forgotten_after_a_minute() -> None:
    clock = ManualClock()
    budget = limiter(clock)
    await budget.acquire(60, Lane.READ)
    assert budget.ip_weight_used == 60
    clock.jump(59.9)
    assert budget.ip_weight_used == 60
    clock.jump(0.1)
    assert budget.ip_weight_used == 0


async def test_the_reserve_is_for_cancels_and_emergencies() -> None:
    clock = ManualClock()
    budget = limiter(clock, reserve_ratio=0.1)
    await budget.acquire(90, Lane.READ)
    waiting = [
        asyncio.create_task(budget.acquire(1, lane))
        for lane in (Lane.READ, Lane.ORDER, Lane.REDUCE)
    ]
    await clock.advance(1)
    assert not any(task.done() for task in waiting)
    await budget.acquire(5, Lane.CANCEL)
    await budget.acquire(5, Lane.EMERGENCY)
    assert budget.ip_weight_used == 100
    await clock.advance(59)
    assert all(task.done() for task in waiting)


async def test_the_most_urgent_waiter_goes_first() -> None:
    clock = ManualClock()
    budget = limiter(clock, reserve_ratio=0.0)
    await budget.acquire(100, Lane.ORDER)
    order: list[str] = []

    async def take(name: str, lane: Lane) -> None:
        await budget.acquire(100, lane)
        order.append(name)

    tasks = []
    for name, lane in (
        ("read", Lane.READ),
        ("order 1", Lane.ORDER),
        ("order 2", Lane.ORDER),
        ("reduce", Lane.REDUCE),
        ("cancel", Lane.CANCEL),
        ("emergency", Lane.EMERGENCY),
    ):
        tasks.append(asyncio.create_task(take(name, lane)))
        await clock.advance(0)
    assert budget.waiting_count == 6
    await clock.advance(6 * 60)
    assert order == ["emergency", "cancel", "reduce", "order 1", "order 2", "read"]
    await asyncio.gather(*tasks)


async def test_a_waiter_that_gives_up_takes_nothing() -> None:
    clock = ManualClock()
    budget = limiter(clock, reserve_ratio=0.0)
    await budget.acquire(100, Lane.ORDER)
    given_up = asyncio.create_task(budget.acquire(100, Lane.ORDER))
    patient = asyncio.create_task(budget.acquire(100, Lane.READ))
    await clock.advance(1)
    given_up.cancel()
    await clock.advance(59)
    assert patient.done()
    assert budget.ip_weight_used == 100
    assert budget.waiting_count == 0


async def test_after_a_429_only_emergencies_leave() -> None:
    clock = ManualClock()
    budget = limiter(clock)
    budget.block(10)
    cancel = asyncio.create_task(budget.acquire(1, Lane.CANCEL))
    await clock.advance(9.9)
    assert not cancel.done()
    await budget.acquire(1, Lane.EMERGENCY)
    await clock.advance(0.1)
    assert cancel.done()


async def test_own_cap_on_requests() -> None:
    clock = ManualClock()
    budget = limiter(clock, requests_per_minute_max=2)
    await budget.acquire(1, Lane.READ)
    budget.charge(10)  # an answer's weight is no request
    await budget.acquire(1, Lane.READ)
    third = asyncio.create_task(budget.acquire(1, Lane.CANCEL))
    await clock.advance(59)
    assert not third.done()
    await budget.acquire(1, Lane.EMERGENCY)
    await clock.advance(1)
    assert third.done()


async def test_reads_leave_the_reserve_of_the_own_cap_to_cancels() -> None:
    clock = ManualClock()
    budget = limiter(clock, 1200, reserve_ratio=0.1, requests_per_minute_max=60)
    for _ in range(54):
        await budget.acquire(2, Lane.READ)
    read = asyncio.create_task(budget.acquire(2, Lane.READ))
    await clock.advance(1)
    assert not read.done()
    for _ in range(6):
        await asyncio.wait_for(budget.acquire(1, Lane.CANCEL), 1)
    await clock.advance(60)
    assert read.done()


async def test_the_decorator_acquires_before_each_call() -> None:
    clock = ManualClock()
    budget = limiter(clock, reserve_ratio=0.0)

    @budget.limited(50, Lane.READ)
    async def read(value: int) -> int:
        return value

    assert [await read(1), await read(2)] == [1, 2]
    third = asyncio.create_task(read(3))  # type: ignore[arg-type]
    await clock.advance(30)
    assert not third.done()
    await clock.advance(30)
    assert await third == 3
    assert read.__name__ == "read"


async def test_what_could_never_leave_is_refused() -> None:
    budget = limiter(ManualClock(), reserve_ratio=0.1)
    for weight, lane in ((91, Lane.READ), (101, Lane.CANCEL), (0, Lane.READ), (-1, Lane.READ)):
        with pytest.raises(ValueError, match="request weight should be 1 to"):
            await budget.acquire(weight, lane)


@pytest.mark.parametrize(("cap", "reserve"), [(0, 0.1), (-5, 0.1), (10, 1.0), (10, -0.1)])
def test_a_limit_must_make_sense(cap: int, reserve: float) -> None:
    with pytest.raises(ValueError, match="rate limit should be"):
        limiter(ManualClock(), cap, reserve_ratio=reserve)


def test_the_address_budget() -> None:
    budget = AddressBudget()
    assert budget.left == 10_000
    budget.note(40)
    assert (budget.used, budget.left) == (40, 9_960)
    budget.learn(used=12_000, cap=11_000)
    assert budget.left == 0


REQUESTS = st.lists(
    st.tuples(st.floats(0, 20), st.integers(1, 90), st.sampled_from(list(Lane))),
    min_size=1,
    max_size=40,
)


@given(REQUESTS)
def test_no_rolling_minute_ever_exceeds_the_cap(
    requests: list[tuple[float, int, Lane]],
) -> None:
    async def run() -> list[tuple[int, int, Lane]]:
        clock = ManualClock()
        budget = limiter(clock, reserve_ratio=0.1)
        served: list[tuple[int, int, Lane]] = []

        async def take(weight: int, lane: Lane) -> None:
            await budget.acquire(weight, lane)
            served.append((clock.now_ns(), weight, lane))

        tasks = []
        for pause, weight, lane in requests:
            tasks.append(asyncio.create_task(take(weight, lane)))
            await clock.advance(pause)
        await clock.advance(60 * (len(requests) + 1))
        await asyncio.gather(*tasks)
        return served

    served = asyncio.run(run())
    assert len(served) == len(requests)
    for end_ns, _, lane in served:
        window = [w for t, w, _ in served if end_ns - NS_PER_MIN < t <= end_ns]
        assert sum(window) <= 100
        if lane > Lane.CANCEL:
            before = [
                w
                for t, w, other in served
                if end_ns - NS_PER_MIN < t <= end_ns and other > Lane.CANCEL
            ]
            assert sum(before) <= 90
