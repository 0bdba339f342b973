"""The real bot against the local exchange in simulated time: crashes, outages, lost answers.

Each seed is one world; ``make soak SEEDS=1-200`` plays more of them, for longer.
"""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from core.runtime.compose import JOURNAL_NAME
from tests.soak.runner import play
from tests.soak.world import World

MINUTES = 6.0


def journal_hash(world: World) -> str:
    """Hash every event of every life."""
    digest = hashlib.blake2b(digest_size=16)
    for bot in world.bots:
        with closing(sqlite3.connect(bot.directory / JOURNAL_NAME)) as journal:
            for body in journal.execute("SELECT body FROM events ORDER BY seq"):
                digest.update(body[0])
    return digest.hexdigest()


@pytest.mark.parametrize("seed", range(1, 13))
def test_whatever_happens_the_bot_ends_with_the_venues_truth(seed: int, tmp_path: Path) -> None:
    world, _ = play(seed, tmp_path, MINUTES)
    assert world.network.request_count > 20


def test_a_seed_is_the_same_world_each_time(tmp_path: Path) -> None:
    one, _ = play(99, tmp_path / "one", 3.0)
    two, _ = play(99, tmp_path / "two", 3.0)
    assert one.log == two.log
    assert one.exchange.state_hash() == two.exchange.state_hash()
    assert journal_hash(one) == journal_hash(two)
