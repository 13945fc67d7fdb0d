"""Which requests are copied, and that they are as they came."""

import asyncio

import pytest

from serve_app.errors import InvalidArgument, ModelFailed
from serve_app.protocol.tensors import RequestedOutput
from tests.unit.core.shadow.shadowed import Model, Shadowed, off_by
from tests.unit.planes import call, description, tensor
from tests.unit.waiting import until

ROW = [[1.0, 2.0]]


async def test_a_model_may_write_into_its_inputs():
    class Writes(Model):
        async def predict(self, inputs, parameters):
            inputs["x"] *= 2
            return {"y": inputs["x"], "z": inputs["x"]}

    one = Shadowed(primary=Writes(), shadow=Writes())
    await one.plane.infer(call(tensor(ROW)))
    (found,) = await one.compared(1)
    assert found.same


@pytest.mark.parametrize("error", [ModelFailed("it broke"), InvalidArgument("no such thing")])
async def test_errors_are_answers_too(error: Exception):
    def fails(outputs):
        raise error

    one = Shadowed(shadow=Model(fails))
    await one.plane.infer(call(tensor(ROW)))
    (found,) = await one.compared(1)
    assert [(d.output, d.kind) for d in found.differences] == [("copy", "error")]
    other = Shadowed(primary=Model(fails))
    with pytest.raises(type(error)):
        await other.plane.infer(call(tensor(ROW)))
    (found,) = await other.compared(1)
    assert [(d.output, d.kind) for d in found.differences] == [("answer", "error")]
    both = Shadowed(primary=Model(fails), shadow=Model(fails))
    with pytest.raises(type(error)):
        await both.plane.infer(call(tensor(ROW)))
    (found,) = await both.compared(1)
    assert found.same


async def test_a_request_that_both_refuse_is_the_same():
    one = Shadowed()
    with pytest.raises(InvalidArgument):
        await one.plane.infer(call(tensor([1.0])))
    (found,) = await one.compared(1)
    assert found.same


async def test_what_no_version_answered_isnt_copied():
    one = Shadowed()
    with pytest.raises(InvalidArgument, match="microseconds"):
        await one.plane.infer(call(tensor(ROW), parameters={"timeout": "x"}))
    one.model.max_queued = 0
    with pytest.raises(Exception, match="requests waiting"):
        await one.plane.infer(call(tensor(ROW)))
    one.model.max_queued = None
    with pytest.raises(Exception, match="no version '9'"):
        await one.plane.infer(call(tensor(ROW), version="9"))
    one.primary.go.clear()
    with pytest.raises(Exception, match="no answer within"):
        await one.plane.infer(call(tensor(ROW), parameters={"timeout": 1000}))
    task = asyncio.create_task(one.plane.infer(call(tensor(ROW))))
    await until(lambda: one.primary.running)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await one.settled()
    assert one.shadow.seen == []
    assert one.heard.drops == {}
    assert (one.copies.held, one.shadows._open) == (0, {})


async def test_what_the_shadow_itself_answered_isnt_copied():
    one = Shadowed()
    await one.plane.infer(call(tensor(ROW), version="2"))
    await one.settled()
    assert (len(one.shadow.seen), one.heard.found) == (1, [])
    await one.plane.infer(call(tensor(ROW), version="1"))  # named, and not the shadow
    await one.compared(1)


async def test_a_share_is_copied(monkeypatch: pytest.MonkeyPatch):
    drawn = iter([0.05, 0.2, 0.0999, 0.1, 0.9])
    monkeypatch.setattr("serve_app.core.shadow.choosing._random.random", lambda: next(drawn))
    one = Shadowed(percent=10)
    for _ in range(5):
        await one.plane.infer(call(tensor(ROW)))
    await one.compared(2)


async def test_none_and_all_are_exact(monkeypatch: pytest.MonkeyPatch):
    one = Shadowed(percent=0)
    monkeypatch.setattr("serve_app.core.shadow.choosing._random.random", lambda: 0.0)
    await one.plane.infer(call(tensor(ROW)))
    await one.settled()
    assert one.heard.found == []
    monkeypatch.setattr("serve_app.core.shadow.choosing._random.random", lambda: 1 - 2**-53)
    one.configure(percent=100)
    await one.plane.infer(call(tensor(ROW)))
    await one.compared(1)


async def test_only_the_outputs_that_were_asked_for():
    one = Shadowed(shadow=Model(off_by(1)))
    await one.plane.infer(call(tensor(ROW), outputs=["z"]))
    (found,) = await one.compared(1)
    assert found.same


async def test_classes_are_compared_as_classes():
    asked = call(tensor(ROW), outputs=["y"])
    asked.request.outputs = [RequestedOutput("y", classes=1)]
    one = Shadowed()
    answer = await one.plane.infer(asked)
    assert answer.outputs[0].data.tolist() == [[b"20.000000:1"]]
    (found,) = await one.compared(1)
    assert found.same


async def test_an_explanation_isnt_copied():
    one = Shadowed()
    asked = call(tensor(ROW))
    asked.verb = "explain"  # as an explainer's own requests are
    await one.plane.infer(asked)
    await one.settled()
    assert (one.shadow.seen, one.shadows._open) == ([], {})


async def test_batches():
    one = Shadowed(about=description(max_batch_size=8), concurrency=4)
    answers = await asyncio.gather(*(one.plane.infer(call(tensor([[float(n), 0.0]]))) for n in range(6)))
    assert [answer.outputs[0].data[0, 0] for answer in answers] == [0, 10, 20, 30, 40, 50]
    found = await one.compared(6)
    assert all(each.same for each in found)


async def test_rows_of_a_batch_dont_keep_the_batch():
    one = Shadowed(about=description(max_batch_size=64), percent=100)
    one.shadow.go.clear()
    await asyncio.gather(*(one.plane.infer(call(tensor([[float(n), 0.0]]))) for n in range(40)))
    assert one.copies.held == 40 * 3 * 8  # x, y and z of a row each
    one.shadow.go.set()
    await one.settled()
