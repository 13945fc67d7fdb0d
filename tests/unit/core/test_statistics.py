"""Triton's statistics extension: perf_analyzer takes deltas of it, and aborts where they don't agree.

From the extension's text: `compute_*` count every request that was computed, in `inference_stats` once
per request and in `batch_stats` once per execution; perf_analyzer demands that the three are equal, at
any time.
"""

import asyncio

import numpy as np
import pytest

from serve_app.errors import ModelFailed
from tests.unit.planes import Backend, call, plane, served, tensor

PARTS = ("compute_input", "compute_infer", "compute_output")
ROW = [[1.0, 2.0]]


def stats(p, model="m") -> dict:
    (found,) = p.statistics(model, "2")
    return found


def counts(about: dict) -> list[int]:
    return [about[part]["count"] for part in PARTS]


class Gated(Backend):
    """Answers when it is let go, and says when it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.go = asyncio.Event(), asyncio.Event()

    async def predict(self, version, inputs, parameters):
        self.asked.set()
        await self.go.wait()
        return await super().predict(version, inputs, parameters)


@pytest.mark.parametrize("extra", [{}, {"max_batch_size": 4}])
async def test_each_part_counts_each_request(extra):
    p = plane()
    served(p, **extra)
    for _ in range(3):
        await p.infer(call(tensor(ROW)))
    about = stats(p)
    assert counts(about["inference_stats"]) == [3, 3, 3]
    assert about["inference_stats"]["queue"]["count"] == 3
    (batch,) = about["batch_stats"]
    assert (batch["batch_size"], counts(batch)) == (1, [3, 3, 3])
    for name in ("cache_hit", "cache_miss"):
        assert about["inference_stats"][name] == {"count": 0, "ns": 0}


async def test_requests_of_one_batch_count_each_and_their_execution_once():
    p, gated = plane(), Gated()
    served(p, backend=gated, max_batch_size=4)
    first = asyncio.create_task(p.infer(call(tensor(ROW))))
    await gated.asked.wait()
    rest = [asyncio.create_task(p.infer(call(tensor(ROW * rows)))) for rows in (1, 2, 1)]
    await asyncio.sleep(0)
    gated.go.set()
    await asyncio.gather(first, *rest)
    about = stats(p)
    assert counts(about["inference_stats"]) == [4, 4, 4]
    assert {one["batch_size"]: counts(one) for one in about["batch_stats"]} == {1: [1] * 3, 4: [1] * 3}
    assert (about["inference_count"], about["execution_count"]) == (5, 2)
    batch = about["batch_stats"][1]
    assert batch["compute_input"]["ns"] > 0  # put together
    assert batch["compute_output"]["ns"] > 0  # and taken apart


async def test_a_request_larger_than_a_batch_counts_for_each_of_its_pieces():
    p = plane()
    served(p, max_batch_size=2)
    await p.infer(call(tensor(ROW * 5)))
    about = stats(p)
    assert counts(about["inference_stats"]) == [3, 3, 3]
    assert {one["batch_size"]: counts(one) for one in about["batch_stats"]} == {1: [1] * 3, 2: [2] * 3}
    assert about["inference_stats"]["success"]["count"] == 1


async def test_what_the_edge_spends_is_input_and_output_and_in_the_request():
    p = plane()
    served(p)
    one = call(tensor(ROW))
    one.decoding = 3.0
    await p.infer(one)
    before = stats(p)["inference_stats"]
    assert before["compute_input"]["ns"] >= 3e9
    p.encoded(one, 2.0)
    after = stats(p)["inference_stats"]
    assert after["compute_output"]["ns"] - before["compute_output"]["ns"] == 2e9
    parts = sum(after[part]["ns"] for part in (*PARTS, "queue"))
    assert after["success"]["ns"] >= parts
    assert counts(after) == [1, 1, 1]


async def test_the_counts_agree_while_requests_run():
    p, gated = plane(), Gated()
    served(p, backend=gated, max_batch_size=4)
    running = asyncio.create_task(p.infer(call(tensor(ROW))))
    await gated.asked.wait()
    assert counts(stats(p)["inference_stats"]) == [0, 0, 0]
    gated.go.set()
    answered = await running
    assert answered.outputs
    assert counts(stats(p)["inference_stats"]) == [1, 1, 1]  # not yet encoded


async def test_what_failed_is_counted_as_that_alone():
    class Short(Backend):
        async def predict(self, version, inputs, parameters):
            return {"y": np.zeros((7, 2), np.float32), "z": inputs["x"]}

    p = plane()
    served(p, backend=Short(), max_batch_size=4)
    with pytest.raises(ModelFailed):
        await p.infer(call(tensor(ROW)))
    about = stats(p)
    assert counts(about["inference_stats"]) == [0, 0, 0]
    assert about["batch_stats"] == []
    assert (about["inference_stats"]["fail"]["count"], about["execution_count"]) == (1, 0)
