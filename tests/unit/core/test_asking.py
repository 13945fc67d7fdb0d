"""Whose requests a piece of work is for: one's own, or all that are in a batch."""

import asyncio
import logging

import numpy as np
import pytest

from serve_app.core.asking import ASKING, asked_by, on_requests
from serve_app.errors import InvalidArgument, ModelFailed
from tests.unit.planes import Raises, call, plane, served, tensor


class Notes:
    """Echoes, and keeps who asked; raises for a negative number."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    async def predict(self, version, inputs, parameters):
        self.asked.append(list(ASKING.get()))
        await asyncio.sleep(0)
        if (inputs["x"] < 0).any():
            raise ModelFailed("negative")
        return {"y": inputs["x"], "z": inputs["x"]}


async def test_a_model_knows_whose_request_it_is():
    made, notes = plane(), Notes()
    served(made, backend=notes)
    await made.infer(call(tensor([[1, 2]]), id="mine"))
    one = call(tensor([[1, 2]]), id="mine")
    one.request_id = "abc"
    await made.infer(one)
    assert notes.asked == [["mine"], ["mine (abc)"]]


async def test_a_request_without_an_id_has_the_one_that_its_answer_has():
    made, notes = plane(), Notes()
    served(made, backend=notes)
    answer = await made.infer(call(tensor([[1, 2]])))
    assert notes.asked == [[answer.id]]


async def test_a_batch_knows_all_of_its_requests_and_who_is_tried_alone_is_named_alone():
    made, notes = plane(), Notes()
    served(made, backend=notes, max_batch_size=8)
    rows = [[[1, 1]], [[2, 2]], [[-3, 3]]]
    asked = [made.infer(call(tensor(row), id=f"r{n}")) for n, row in enumerate(rows)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(one).__name__ for one in answers] == ["InferResponse", "InferResponse", "ModelFailed"]
    # The first found the model idle; the others came together.
    assert notes.asked == [["r0"], ["r1", "r2"], ["r1"], ["r2"]]


async def test_the_pieces_of_a_large_request_are_all_its_own():
    made, notes = plane(), Notes()
    served(made, backend=notes, max_batch_size=2)
    await made.infer(call(tensor(np.ones((6, 2), np.float32)), id="large"))
    assert {id for asked in notes.asked for id in asked} == {"large"}


async def test_what_nobody_logged_is_logged_with_the_request(caplog):
    """What a replica answered, say: its traceback is in the replica's own log."""
    made = plane()
    served(made, backend=Raises(ModelFailed("it broke")))
    with pytest.raises(ModelFailed):
        await made.infer(call(tensor([[1, 2]]), id="mine"))
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert "model 'm' version 2 failed on request mine: it broke" in record.getMessage()


async def test_a_callers_own_mistake_is_nothing_to_log(caplog):
    made = plane()
    served(made, backend=Raises(InvalidArgument("no")))
    with pytest.raises(InvalidArgument):
        await made.infer(call(tensor([[1, 2]]), id="mine"))
    assert not caplog.records


def test_ids_are_the_clients_and_end_no_line():
    assert asked_by(["a\nERROR all is lost"]) == "a?ERROR all is lost"
    assert asked_by(["\ud800"]) == "?"
    assert asked_by(["x" * 1000]) == "x" * 128 + "…"


def test_a_line_names_a_few_and_a_failure_all():
    ids = [f"r{number}" for number in range(30)]
    assert asked_by(ids) == "r0, r1, r2, r3, r4, r5, r6, r7 and 22 more"
    assert on_requests(ids) == f"a batch of 30 requests ({', '.join(ids)})"
    assert (on_requests(["a"]), on_requests([])) == ("request a", "request without an id")
    assert asked_by() == ""
