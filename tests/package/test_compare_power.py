"""What `--quick` shows, and what it doesn't: simulated servers through the code that decides."""

from collections import Counter

from loadtests.compare.build import judged
from tests.package.simulated import results

SEEDS = range(50)


def shown(slower: float) -> Counter[str]:
    """In how many of fifty comparisons each question had an answer."""
    found: Counter[str] = Counter()
    for seed in SEEDS:
        differences = judged(results(seed, slower))
        verdicts = {question.partition(" | ")[0]: one.verdict for question, one in differences.items()}
        answered = [name for name, verdict in verdicts.items() if verdict != "no difference shown"]
        found.update({"asked": len(verdicts), "any": bool(answered)} | dict.fromkeys(answered, 1))
    return found


def test_one_and_a_half_times_as_much_is_shown() -> None:
    found = shown(1.5)
    rate, p50, reach = (
        next(count for name, count in found.items() if words in name)
        for words in ("as fast as it can", ", p50 at", "highest rate with")
    )
    assert min(rate, p50, reach) >= 48


def test_of_a_server_and_itself_nothing_is_shown() -> None:
    """Each comparison may err once in twenty: six of fifty have a chance of one in twenty-five."""
    found = shown(1.0)
    assert found["asked"] >= 50 * 6
    assert found["any"] <= 5
