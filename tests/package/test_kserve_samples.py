"""KServe's published samples: each is served or refused for a reason, comes back, and runs where its
model can be made here. The table in docs/kserve.md is theirs.
"""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.package import kserve_samples as samples
from tests.package.crd import ROOT, problems
from tests.serve.kserve_kinds import ROWS, made_lightgbm, made_sklearn, made_xgboost

DOCS = ROOT / "docs/kserve.md"
# Their own: iris, four numbers and three classes.


@functools.cache
def found() -> tuple[list[samples.Sample], list[Path]]:
    return samples.samples(samples.checkout())


def served() -> list[samples.Sample]:
    return [one for one in found()[0] if not one.reason]


def test_each_is_served_or_refused_for_a_reason_that_is_known() -> None:
    known = {"", *samples.REASONS.values()}
    assert {one.reason for one in found()[0]} <= known


def test_each_comes_back() -> None:
    lost = [one.file for one in found()[0] if not samples.round_trips(one)]
    assert lost == []


def test_each_that_is_served_becomes_a_whole_manifest() -> None:
    from serve_app.tools.kserve import both_ways

    for one in served():
        assert problems(both_ways.ray_service([one.service])) == [], one.file


def test_the_table_in_the_documentation() -> None:
    text = DOCS.read_text()
    here = samples.commit(samples.checkout())
    if not here or here not in text:
        pytest.skip(f"docs/kserve.md is of another commit than {here or 'this one, which has none'}")
    every, broken = found()
    assert samples.table(every) in text
    assert f"{sum(not one.reason for one in every)} of {len(every)}" in text
    assert f"{len(broken)} files more" in text


MADE: dict[str, Callable[[Path], None]] = {
    "sklearn": made_sklearn, "xgboost": made_xgboost, "lightgbm": made_lightgbm,
}  # fmt: skip


async def test_those_run_whose_model_can_be_made_here(tmp_path: Path) -> None:
    """By V1, as KServe's samples are asked; the files are of the same kind as theirs."""
    from serve_app.config import InlineModel, parse
    from tests.unit.runtimes.tabular import Served

    ran = 0
    for one in served():
        models = one.service.models
        make = MADE.get(models[0].format) if models else None
        if make is None:
            continue
        folder = tmp_path / models[0].format
        if not folder.exists():
            folder.mkdir()
            make(folder)
        entry: dict[str, Any] = samples.local(one, str(folder), "m")
        if entry["modelFormat"] != "sklearn":
            del entry["trusted"]
        parse(InlineModel, entry)
        for key in ("name", "storageUri"):
            del entry[key]
        model = Served(folder, entry.pop("modelFormat"), **entry)
        try:
            assert len(await model.v1({"instances": ROWS[:2].tolist()})) == 2, one.file
        finally:
            model.close()
        ran += 1
    assert f"XGBoost and LightGBM, {ran} of them" in DOCS.read_text()
