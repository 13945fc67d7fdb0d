"""The campaign of faults against the cache: one of each kind here, hundreds before a release."""

from pathlib import Path

import pytest

from loadtests.storage.faults import LIMIT, SHARES, Campaign, Figures
from loadtests.storage.server import Store


def campaign(folder: Path, count: int, seed: int) -> Figures:
    store = Store()
    try:
        figures = Campaign(store, folder, seed).run(count, print)
    finally:
        store.close()
    assert figures.wrong == []
    assert not figures.twice
    assert figures.most <= LIMIT
    return figures


def test_some_of_each(cache: Path) -> None:
    figures = campaign(cache, 13, 7)
    assert set(figures.trials) == set(SHARES)
    assert figures.refused["disk"] == figures.trials["disk"]


@pytest.mark.long
def test_five_hundred(cache: Path) -> None:
    figures = campaign(cache, 500, 3)
    assert sum(figures.trials.values()) == 500
