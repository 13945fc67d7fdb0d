"""One request of 200,000 rows and others meanwhile; and how many a replica has in its hands."""

import asyncio
import random

import numpy as np
import pytest

from serve_app.errors import Unavailable
from tests.unit.core.virtual import Traffic, Works, open_model, plane, virtually
from tests.unit.planes import call, tensor

ROWS, PER_ROW = 200_000, 0.0002  # it takes 40 s


@pytest.mark.parametrize(
    ("slots", "spare", "extra"),
    [
        (1, 0, {"max_batch_size": 32}), (1, 0, {"piece": 64}),  # here
        (2, 1, {"max_batch_size": 32}), (4, 2, {"max_batch_size": 32}),  # in replicas
        (2, 1, {"piece": 64}), (4, 2, {"piece": 64}),
    ],
)  # fmt: skip
def test_a_large_request_lets_others_come_between(monkeypatch, slots, spare, extra):
    async def work():
        made = plane()
        works = Works(slots - spare, lambda rows: rows * PER_ROW)
        open_model(made, "m", works, slots, spare=spare, **extra)
        large = asyncio.create_task(made.infer(call(tensor(np.zeros((ROWS, 2), np.float32)))))
        small = Traffic(made, "m", 20.0, random.Random(1))
        await small.run(10)
        assert not large.done()
        await small.over()
        answer = await large
        assert len(answer.outputs[0].data) == ROWS
        assert works.executions >= ROWS // 64
        return small

    small = virtually(monkeypatch, work)
    assert set(small.ended) == {"ok"}
    assert max(small.waits) < 6 * 64 * PER_ROW  # a few of its pieces


def test_where_rows_may_belong_together_a_request_stays_whole(monkeypatch):
    async def work():
        made = plane()
        works = Works(1, lambda rows: 1.0)
        open_model(made, "m", works, 1)
        await made.infer(call(tensor(np.zeros((ROWS, 2), np.float32))))
        return works.executions

    assert virtually(monkeypatch, work) == 1


@pytest.mark.parametrize("more", [0, 3])
def test_replicas_that_dont_batch_have_no_more_in_their_hands_than_they_may(monkeypatch, more):
    """The rest waits here, where its place is known, and not in Serve's queue."""

    class Counts(Works):
        inside = most = 0

        async def predict(self, version, inputs, parameters):
            self.inside += 1
            self.most = max(self.most, self.inside)
            try:
                return await super().predict(version, inputs, parameters)
            finally:
                self.inside -= 1

    async def work():
        made = plane()
        works = Counts(2, lambda rows: 0.1)
        model = open_model(made, "m", works, 4, spare=2)
        row = tensor([[1.0, 2.0]])
        asked = [asyncio.create_task(made.infer(call(row))) for _ in range(40)]
        await asyncio.sleep(0.25)
        if more:
            model.resize("", 4 + more, 2)
        await asyncio.gather(*asked)
        counters = model.versions["2"].counters
        assert counters.executions == counters.inferences == 40
        assert counters.queue.ns > 10**9
        return works.most

    assert virtually(monkeypatch, work) == 4 + more


def test_of_a_model_that_is_removed_what_waits_is_refused_and_what_runs_is_answered(monkeypatch):
    async def work():
        made = plane()
        open_model(made, "m", Works(1, lambda rows: 1.0), 2, spare=1)
        row = tensor([[1.0, 2.0]])
        asked = [asyncio.create_task(made.infer(call(row))) for _ in range(5)]
        await asyncio.sleep(0.1)
        made.directory.remove("m", "")
        await asyncio.sleep(0.1)
        assert [task.done() for task in asked] == [False, False, True, True, True]
        found = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(one) for one in found[2:]] == [Unavailable] * 3
        assert all(one.outputs for one in found[:2])
        assert made.directory.room.taken == 0

    virtually(monkeypatch, work)
