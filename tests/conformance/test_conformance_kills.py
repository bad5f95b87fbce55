"""Two hosts on one storage, killed at random moments; `benchmarks/host_kills` is the long form with its table."""

import pytest

from benchmarks.host_kills.playing import Play, play
from tests.conformance.scenarios import scenario
from tests.conformance.workshop import Workshop

pytestmark = [
    pytest.mark.azurite,
    pytest.mark.embedded("workers are killed one by one, as this host keeps them"),
]


@scenario(22, 34)
def test_two_hosts_handle_nothing_twice_and_lose_nothing_under_kills(workshop: Workshop) -> None:
    """One is killed whole, and a worker of either: what a killed process has not handed back is handled again."""
    tally = play(workshop, Play(messages=60, blobs=15, seconds=5, hosts=2, kills=3, visibility_seconds=6))
    assert tally.lost == []
    assert tally.handled == {"message": 60, "blob": 15}
    assert tally.unexplained == []
    assert tally.killed_hosts + tally.killed_workers == 3
    assert tally.buried == 0
