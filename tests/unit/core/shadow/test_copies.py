"""Requests that are copied, and what becomes of the copies."""

import asyncio
import gc
import weakref

import numpy as np
import pytest

from serve_app.errors import Unavailable
from tests.unit.core.shadow.shadowed import Model, Shadowed, off_by
from tests.unit.planes import call, heard, tensor
from tests.unit.waiting import until

ROW = [[1.0, 2.0]]


async def test_a_copy_goes_to_the_shadow_and_is_compared():
    one = Shadowed()
    answer = await one.plane.infer(call(tensor(ROW), id="7", parameters={"k": 1}))
    assert (answer.version, answer.outputs[0].data.tolist()) == ("1", [[10, 20]])
    (found,) = await one.compared(1)
    assert found.same
    assert one.shadow.seen[0]["x"].tolist() == ROW
    assert one.shadow.given == [{"k": 1}]
    assert (one.pair.compared, one.pair.differed, one.copies.copied) == (1, 0, 1)
    assert one.copies.held == 0


async def test_what_differs_is_found():
    one = Shadowed(shadow=Model(off_by(1)))
    await one.plane.infer(call(tensor(ROW)))
    (found,) = await one.compared(1)
    assert [(d.output, d.kind, d.worst) for d in found.differences] == [("y", "value", 1)]
    one.configure(outputs={"y": {"atol": 1}})
    await one.plane.infer(call(tensor(ROW)))
    await until(lambda: len(one.heard.found) == 2)
    assert one.heard.found[1][2].same
    assert one.pair.compared == 1  # another tolerance: counted anew


async def test_nobody_notices_a_copy():
    """It counts in nothing that is the requests', and waits for nobody's answer."""
    one = Shadowed()
    one.shadow.go.clear()
    await one.plane.infer(call(tensor(ROW)))
    await until(lambda: one.shadow.running)
    assert one.model.pending == 0
    assert heard(one.plane).requests == [("m", "1", "")]
    one.shadow.go.set()
    await one.compared(1)
    assert heard(one.plane).requests == [("m", "1", "")]
    counters = one.model.versions["2"].counters
    assert (counters.success.count, counters.fail.count, counters.last_inference_ms) == (0, 0, 0)
    assert one.model.versions["1"].counters.success.count == 1


async def test_a_queue_and_a_limit_of_its_own():
    one = Shadowed(concurrency=2, maxQueued=3)
    one.shadow.go.clear()
    for _ in range(10):
        await one.plane.infer(call(tensor(ROW)))
    await until(lambda: one.shadow.running == 2)
    assert one.copies.waiting == 3
    assert one.heard.drops == {"queue": 5}
    one.shadow.go.set()
    await one.compared(5)
    assert one.shadow.most == 2
    assert one.copies.plain["dropped"] == {"queue": 5}
    assert one.copies.held == 0


async def test_its_memory_is_bounded():
    one = Shadowed(maxBytes=2**16)
    one.shadow.go.clear()
    rows = [[1.0, 2.0]] * 1000  # 8 kB, and 16 of answers
    for _ in range(5):
        await one.plane.infer(call(tensor(rows)))
        assert one.copies.held <= 2**16
    assert one.heard.drops["bytes"] == 3
    one.shadow.go.set()
    await one.compared(2)
    assert one.copies.held == 0
    await one.plane.infer(call(tensor([[1.0, 2.0]] * 10_000)))  # too large by itself
    await one.settled()
    assert one.heard.drops["bytes"] == 4
    assert one.copies.held == 0


async def test_what_is_too_large_to_copy_at_once_is_dropped():
    one = Shadowed(maxBytes=2**30)
    rows = np.zeros((2**20 + 1, 2), np.float32)
    await one.plane.infer(call(tensor(rows)))
    await one.settled()
    assert one.heard.drops == {"bytes": 1}
    rows.setflags(write=False)  # a view of the request's own bytes is never copied
    request = call()
    request.request.inputs = [tensor([[0.0, 0.0]])]
    request.request.inputs[0].data = rows
    await one.plane.infer(request)
    await one.compared(1)


async def test_a_shadow_that_isnt_there():
    one = Shadowed(version="3")
    await one.plane.infer(call(tensor(ROW)))
    await one.settled()
    assert one.heard.drops == {"unavailable": 1}
    one.configure()
    one.model.versions["2"].unavailable("its replicas are gone")
    await one.plane.infer(call(tensor(ROW)))
    await one.settled()
    assert one.heard.drops == {"unavailable": 2}


async def test_a_shadow_that_goes_meanwhile():
    def gone(outputs):
        raise Unavailable("no replica")

    one = Shadowed(shadow=Model(gone))
    await one.plane.infer(call(tensor(ROW)))
    await one.settled()
    assert one.heard.drops == {"unavailable": 1}
    assert one.copies.pairs == {}


async def test_one_that_hangs_has_a_time_limit():
    one = Shadowed(timeout=0.01)
    one.shadow.go.clear()
    await one.plane.infer(call(tensor(ROW)))
    (found,) = await one.compared(1)
    assert found.differences[0].text == "DeadlineExceeded, the other one has an answer"
    assert one.shadow.running == 0


async def _users(one: Shadowed, model: Model, version: str) -> list[asyncio.Task]:
    """Three, one more than can be computed at once."""
    model.go.clear()
    ask = one.plane.infer
    tasks = [asyncio.create_task(ask(call(tensor(ROW), version=version))) for _ in range(3)]
    await until(lambda: model.running == 3)
    return tasks


async def test_a_copy_waits_for_those_who_ask_its_version():
    one = Shadowed()
    users = await _users(one, one.shadow, "2")
    await one.plane.infer(call(tensor(ROW)))
    await asyncio.sleep(0.03)
    assert len(one.shadow.seen) == 3
    one.shadow.go.set()
    await asyncio.gather(*users)
    await one.compared(1)


async def test_a_copy_waits_for_those_who_ask_the_one_that_answers():
    one = Shadowed()
    one.shadow.go.clear()
    for _ in range(2):
        await one.plane.infer(call(tensor(ROW)))
    await until(lambda: one.shadow.running)
    users = await _users(one, one.primary, "1")
    one.shadow.go.set()
    await until(lambda: one.heard.found)
    await asyncio.sleep(0.03)
    assert len(one.shadow.seen) == 1
    one.primary.go.set()
    await asyncio.gather(*users)
    await one.compared(5)


async def test_it_doesnt_wait_for_ever(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("serve_app.core.shadow.copies._BUSY_S", 0.0)
    one = Shadowed()
    waiting = one.model.versions["2"].waiting
    assert waiting is not None
    waiting.ahead += 1
    await one.plane.infer(call(tensor(ROW)))
    await one.settled()
    assert one.heard.drops == {"busy": 1}
    assert one.copies.held == 0


async def test_versions_that_are_replaced_are_counted_anew():
    one = Shadowed(shadow=Model(off_by(1)))
    await one.plane.infer(call(tensor(ROW)))
    await one.compared(1)
    one.shadow.go.clear()
    await one.plane.infer(call(tensor(ROW)))
    await until(lambda: one.shadow.running)
    slow = one.shadow
    one.shadow = Model()
    one.serve()
    slow.go.set()
    await one.settled()
    assert one.heard.drops == {"replaced": 1}
    await one.plane.infer(call(tensor(ROW)))
    await until(lambda: len(one.heard.found) == 2)
    assert (one.pair.compared, one.pair.differed) == (1, 0)


async def test_a_version_is_drained_when_its_copies_are_answered():
    one = Shadowed()
    one.shadow.go.clear()
    await one.plane.infer(call(tensor(ROW)))
    await until(lambda: one.shadow.running)
    drained = asyncio.create_task(one.model.versions["2"].drained())
    await asyncio.sleep(0)
    assert not drained.done()
    one.shadow.go.set()
    await drained


async def test_a_shadow_that_is_taken_away_stops():
    one = Shadowed(concurrency=1)
    one.shadow.go.clear()
    for _ in range(3):
        await one.plane.infer(call(tensor(ROW)))
    await until(lambda: one.shadow.running)
    copies = one.copies
    one.primary.go.clear()
    under_way = asyncio.create_task(one.plane.infer(call(tensor(ROW))))
    await until(lambda: one.primary.running)
    assert not one.shadows.configure({})
    await until(lambda: not one.shadow.running)
    one.primary.go.set()
    await under_way
    assert (copies.held, copies.waiting, one.shadows._open) == (copies.held, 0, {})
    assert one.heard.found == []


async def test_examples_are_kept_where_it_is_said():
    one = Shadowed(shadow=Model(off_by(1)))
    await one.plane.infer(call(tensor(ROW)))
    await one.compared(1)
    assert list(one.pair.examples) == []
    one.configure(examples=2)
    for number in range(3):
        await one.plane.infer(call(tensor([[float(number), 2.0]] * 9), id=str(number)))
    await until(lambda: len(one.heard.found) == 4)
    kept = list(one.pair.examples)
    assert [example["id"] for example in kept] == ["1", "2"]
    last = kept[-1]
    assert (last["primary"], last["shadow"]) == ("1", "2")
    assert last["inputs"] == [{"name": "x", "shape": [9, 2], "first": [2.0] * 16}]
    assert last["answer"][0] == {"name": "y", "shape": [9, 2], "first": [20.0] * 16}
    assert last["copy"][0]["first"] == [21.0] * 16
    assert last["differences"][0]["output"] == "y"
    assert last["differences"][0]["values"] == "20 and 21"


def _as_text(outputs):
    text = np.empty(1, dtype=object)
    text[0] = b"word " * 10_000
    return {"y": text, "z": outputs["z"]}


@pytest.mark.parametrize(("rows", "changed"), [(5000, off_by(1)), (1, _as_text)])
async def test_large_answers_are_compared_elsewhere(monkeypatch: pytest.MonkeyPatch, rows, changed):
    one = Shadowed(shadow=Model(changed))
    elsewhere = []
    apart = one.copies._apart
    monkeypatch.setattr(one.copies, "_apart", lambda work: elsewhere.append(work) or apart(work))
    await one.plane.infer(call(tensor([[1.0, 2.0]] * rows)))
    (found,) = await one.compared(1)
    assert not found.same
    assert len(elsewhere) == 1


async def test_an_error_of_ours_is_logged_and_counted(monkeypatch, caplog):
    def broken(*_):
        raise RuntimeError("a bug")

    monkeypatch.setattr("serve_app.core.shadow.copies.judged", broken)
    one = Shadowed()
    await one.plane.infer(call(tensor(ROW)))
    await one.settled()
    assert one.heard.drops == {"broken": 1}
    assert "a copy of a request of model 'm' failed" in caplog.text
    assert one.copies.held == 0


async def test_no_version_is_kept_alive():
    one = Shadowed()
    await one.plane.infer(call(tensor(ROW)))
    await one.compared(1)
    one.heard.found.clear()
    heard(one.plane).calls.clear()
    old = one.model.versions["1"]
    there = weakref.ref(old)
    one.primary = Model()
    one.serve()
    del old
    gc.collect()
    assert there() is None
