"""What `--quick` shows, and what it doesn't: simulated servers through the code that decides."""

from collections import Counter

import pytest

from loadtests.compare.build import judged
from tests.package.simulated import results

FEW, MANY = 6, 50  # of them the latter takes minutes
OFTEN = pytest.mark.parametrize("seeds", [FEW, pytest.param(MANY, marks=pytest.mark.long)])


def shown(slower: float, seeds: int) -> Counter[str]:
    """In how many comparisons each question had an answer."""
    found: Counter[str] = Counter()
    for seed in range(seeds):
        differences = judged(results(seed, slower))
        verdicts = {question.partition(" | ")[0]: one.verdict for question, one in differences.items()}
        answered = [name for name, verdict in verdicts.items() if verdict != "no difference shown"]
        found.update({"asked": len(verdicts), "any": bool(answered)} | dict.fromkeys(answered, 1))
    return found


@OFTEN
def test_one_and_a_half_times_as_much_is_shown(seeds: int) -> None:
    found = shown(1.5, seeds)
    rate, p50, reach = (
        next(count for name, count in found.items() if words in name)
        for words in ("as fast as it can", ", p50 at", "highest rate with")
    )
    assert min(rate, p50, reach) >= 0.96 * seeds - 1


@OFTEN
def test_of_a_server_and_itself_nothing_is_shown(seeds: int) -> None:
    """Each comparison may err once in twenty: six of fifty have a chance of one in twenty-five."""
    found = shown(1.0, seeds)
    assert found["asked"] >= seeds * 6
    assert found["any"] <= max(0.1 * seeds, 2)
