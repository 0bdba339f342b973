"""Fault plans: who is struck when, the same each time, and files whose errors name the place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model.errors import ConfigError
from core.simulation.wire.fault_files import load_plan, read_plan
from core.simulation.wire.faults import APPLICABLE, CONNECT, TIMED, FaultName, FaultPlan, FaultRule

S = 1_000_000_000
START_NS = 1_746_489_600 * S


def begun(*rules: FaultRule, seed: int = 7) -> FaultPlan:
    plan = FaultPlan(rules, seed=seed)
    plan.begin(START_NS)
    return plan


def struck_at(plan: FaultPlan, count: int, kind: str = "order") -> list[int]:
    """Which of so many requests, one a second, are struck."""
    return [i for i in range(count) if plan.decide("exchange", kind, START_NS + i * S) is not None]


def test_every_nth_after_some_and_at_most_so_often() -> None:
    rule = FaultRule(route="exchange", fault="drop_after", after=2, every=3, times=3)
    assert struck_at(begun(rule), 30) == [2, 5, 8]


def test_only_the_named_kind_counts() -> None:
    plan = begun(FaultRule(route="exchange", fault="too_many", kind="order", every=2))
    kinds = ["order", "cancel", "order", "cancel", "order"]
    hits = [plan.decide("exchange", kind, START_NS) is not None for kind in kinds]
    assert hits == [True, False, False, False, True]
    assert plan.decide("info", "order", START_NS) is None


def test_a_span_counts_from_the_moment_the_plan_is_in_force() -> None:
    rule = FaultRule(route="exchange", fault="broken", from_s=3.0, until_s=6.0)
    assert struck_at(begun(rule), 10) == [3, 4, 5]


def test_a_span_may_be_moments_of_the_venue() -> None:
    ms = START_NS // 1_000_000
    rule = FaultRule(route="exchange", fault="broken", from_ms=ms + 4_000, until_ms=ms + 6_000)
    assert struck_at(begun(rule), 10) == [4, 5]


def test_the_first_rule_that_strikes_wins_and_all_count() -> None:
    first = FaultRule(route="exchange", fault="drop_after", every=2, name="first")
    second = FaultRule(route="exchange", fault="too_many", every=3, name="second")
    plan = begun(first, second)
    names = [
        fault.rule.name if (fault := plan.decide("exchange", "order", START_NS)) else ""
        for _ in range(6)
    ]
    assert names == ["first", "", "first", "second", "first", ""]


def test_a_new_websocket_is_struck_only_where_it_is_named() -> None:
    anything = begun(FaultRule(route="ws", fault="drop"))
    assert anything.decide("ws", CONNECT, START_NS) is None
    named = begun(FaultRule(route="ws", fault="too_many", kind=CONNECT))
    assert named.decide("ws", CONNECT, START_NS) is not None
    assert named.decide("ws", "bbo", START_NS) is None


def test_timed_faults_come_in_order_and_once() -> None:
    plan = begun(
        FaultRule(route="market", fault="halt", kind="BTC", from_s=5.0, until_s=25.0),
        FaultRule(route="ws", fault="cut", from_s=10.0, every_s=10.0, until_s=40.0),
    )
    assert plan.next_ns == START_NS + 5 * S
    assert plan.decide("ws", "bbo", START_NS + 10 * S) is None
    seen = []
    for second in range(0, 60):
        for fault in plan.due(START_NS + second * S):
            seen.append((second, fault.rule.fault, fault.is_end))
    assert seen == [
        (5, "halt", False),
        (10, "cut", False),
        (20, "cut", False),
        (25, "halt", True),
        (30, "cut", False),
    ]
    assert plan.next_ns is None
    assert [row.fault for row in plan.struck] == ["halt", "cut", "cut", "halt", "cut"]


def test_putting_a_plan_in_force_again_starts_its_counts_anew() -> None:
    plan = begun(FaultRule(route="exchange", fault="broken", times=1))
    assert struck_at(plan, 5) == [0]
    assert len(plan.struck) == 1
    plan.begin(START_NS)
    assert plan.struck == ()
    assert struck_at(plan, 5) == [0]


@given(
    seed=st.integers(0, 2**32),
    rules=st.lists(
        st.builds(
            FaultRule,
            route=st.just("exchange"),
            fault=st.sampled_from(["drop_after", "too_many", "delay"]),
            kind=st.sampled_from(["", "order", "cancel"]),
            from_s=st.integers(0, 20).map(float),
            after=st.integers(0, 3),
            every=st.integers(1, 4),
            chance=st.sampled_from([0.0, 0.3, 1.0]),
            times=st.none() | st.integers(1, 5),
        ),
        max_size=4,
    ),
    kinds=st.lists(st.sampled_from(["order", "cancel", "modify"]), max_size=40),
)
def test_same_seed_rules_and_requests_strike_the_same(
    seed: int, rules: list[FaultRule], kinds: list[str]
) -> None:
    def run() -> tuple[list[Any], Any]:
        plan = begun(*rules, seed=seed)
        found = [plan.decide("exchange", kind, START_NS + i * S) for i, kind in enumerate(kinds)]
        return [None if f is None else f.rule for f in found], plan.struck

    first, second = run(), run()
    assert first == second
    assert sum(rule is not None for rule in first[0]) == len(first[1])
    for i, rule in enumerate(rules):
        struck = sum(found is rule for found in first[0])
        if rule.times is not None and rules.count(rule) == 1:
            assert struck <= rule.times, i


def test_a_chance_is_met_over_many_requests() -> None:
    plan = begun(FaultRule(route="exchange", fault="drop_after", chance=0.25))
    assert 420 <= len(struck_at(plan, 2_000)) <= 580
    other = begun(FaultRule(route="exchange", fault="drop_after", chance=0.25), seed=8)
    assert struck_at(other, 2_000) != struck_at(begun(*plan.rules), 2_000)


def test_every_fault_has_a_route_and_timed_ones_are_known() -> None:
    known = frozenset().union(*APPLICABLE.values())
    assert known == frozenset(get_args(FaultName))
    assert known >= TIMED


# --- files --------------------------------------------------------------------------------------


def test_a_file_with_comments_becomes_a_plan(tmp_path: Path) -> None:
    path = tmp_path / "faults.json"
    path.write_text(
        '{"seed": 11, /* of chances */ "rules": [\n'
        '  // answers get lost\n  {"route": "exchange", "fault": "drop_after", "kind": "order"}]}'
    )
    plan = load_plan(path)
    assert plan.seed == 11
    assert plan.rules == (FaultRule(route="exchange", fault="drop_after", kind="order"),)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{", "expected JSON with comments"),
        ("[]", "faults: expected an object, was a list"),
        ("{}", "rules: expected a list of 0 to 1000 entries, was missing"),
        (
            '{"rules": [{"route": "exchange", "fault": "drop_aftre"}]}',
            "rules[0].fault: expected",
        ),
        ('{"rules": [{"route": "exchange", "fault": "drop_aftre"}]}', "did you mean 'drop_after'?"),
        ('{"rules": [{"route": "exchange", "fault": "delay", "dealy_ms": 5}]}', "'delay_ms'?"),
        (
            '{"rules": [{"route": "info", "fault": "partial_batch"}]}',
            "on route 'info', was 'partial_batch'",
        ),
        (
            '{"rules": [{"route": "info", "fault": "delay", "every": 0}]}',
            "rules[0].every: expected a whole number at least 1 and at most 1000000000, was 0",
        ),
        ('{"rules": [{"route": "market", "fault": "post_only"}]}', "rules[0].until_s: expected"),
        ('{"rules": [{"route": "market", "fault": "halt"}]}', "rules[0].kind: expected the coin"),
        (
            '{"rules": [{"route": "ws", "fault": "drop", "from_s": 5, "until_s": 5}]}',
            "rules[0].until_s: expected above from_s (5), was 5",
        ),
    ],
)
def test_a_wrong_file_names_the_place_what_was_expected_and_what_was(
    text: str, expected: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        read_plan(text)
    assert expected in str(caught.value)


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "faults.json"
    path.write_text(
        json.dumps({"rules": [{"route": "inf", "fault": "delay"}, {"fault": "cut"}], "sed": 1})
    )
    with pytest.raises(ConfigError) as caught:
        load_plan(path)
    text = str(caught.value)
    for part in ("rules[0].route", "rules[1].route: expected", "was missing", "sed", "'seed'?"):
        assert part in text
    assert text.count(str(path)) == 3


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected a readable fault plan"):
        load_plan(tmp_path / "none.json")
