"""New versions that are found where models lie."""

import asyncio
import contextlib
import os

import pytest

from serve_app.deployments.polling import Poller, listed
from serve_app.errors import InvalidArgument, Unavailable
from serve_app.releases import steward as module
from serve_app.releases.judged import Ack
from serve_app.releases.live import Live
from tests.unit.releases.stewarded import World
from tests.unit.repository.stores import Memory


@pytest.fixture
async def polling(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "LOOK_S", 0.01)
    world = World()
    world.routers = set()  # nobody has to serve it: what was asked for is looked at
    steward = world.steward()
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "model.onnx").write_text("one")
    await steward.serves("r1", Ack(0, places={"m": str(tmp_path)}))
    return Poller(steward, 1), steward, tmp_path


def changes(steward) -> list[str]:
    return [f"{line['by']} {line['verb']} {line['model']}" for line in steward.state.audit]


async def test_what_is_there_already_is_nothing_new(polling):
    poller, steward, _ = polling
    for _ in range(3):
        await poller.look()
    assert changes(steward) == []


async def test_a_version_is_loaded_when_it_has_come_to_rest(polling):
    poller, steward, folder = polling
    await poller.look()
    (folder / "2").mkdir()
    file = folder / "2" / "model.onnx"
    for size in (1, 2, 3):  # it is being copied
        file.write_text("x" * size)
        await poller.look()
        assert changes(steward) == []
    await poller.look()
    assert changes(steward) == ["poller load m"]
    for _ in range(3):
        await poller.look()
    assert len(changes(steward)) == 1  # once


async def test_what_came_while_no_steward_ran_is_found(polling):
    poller, steward, folder = polling
    await poller.look()
    os.utime(folder / "1" / "model.onnx", (1, 1))
    other = Poller(steward, 1)  # of the next one, which knows what the last one acted on
    await other.look()
    await other.look()
    assert changes(steward) == ["poller load m"]


async def test_a_model_that_was_unloaded_stays_so(polling):
    poller, steward, folder = polling
    await poller.look()
    object.__setattr__(steward.state, "layer", {"m": Live(off=True)})
    (folder / "1" / "model.onnx").write_text("other")
    await poller.look()
    await poller.look()
    assert changes(steward) == []


async def test_a_place_that_cant_be_looked_at_is_left(polling, caplog):
    poller, steward, folder = polling
    places = {"gone": str(folder / "no" / "such"), "m": str(folder)}
    await steward.serves("r1", Ack(0, places=places))
    await poller.look()
    assert "gone" in caplog.text
    assert set(steward.state.polled) == {"m"}


def test_a_store_is_looked_at_by_what_it_says_of_its_files(tmp_path, monkeypatch):
    monkeypatch.setenv("TANDEM_CACHE", str(tmp_path))
    store = Memory({"1/model.onnx": b"one"})
    monkeypatch.setattr("serve_app.repository.fetching.store", store)
    before = listed("s3://bucket/m")
    assert listed("s3://bucket/m") == before
    store.files["1/model.onnx"] = b"another"
    changed = listed("s3://bucket/m")
    store.files["2/model.onnx"] = b"two"
    assert len({before, changed, listed("s3://bucket/m")}) == 3
    assert store.asked == []


@pytest.mark.parametrize(
    "error",
    [Unavailable("the change can't be kept: the bucket is away"), OSError("Serve can't be asked"),
     asyncio.CancelledError()],  # the Steward ended just then: the next one's poller goes on
)  # fmt: skip
async def test_what_couldnt_be_handed_over_is_handed_over_again(polling, error):
    poller, steward, folder = polling
    await poller.look()
    (folder / "1" / "model.onnx").write_text("other")
    await poller.look()
    change = steward.change

    async def away(made):
        raise error

    steward.change = away
    with contextlib.suppress(asyncio.CancelledError):
        await poller.look()
    steward.change = change
    assert changes(steward) == []
    for _ in range(3):
        await poller.look()
    assert changes(steward) == ["poller load m"]


async def test_what_was_refused_isnt_handed_over_again(polling):
    """Whoever was to load it tries again by itself what may go well."""
    poller, steward, folder = polling
    await poller.look()
    (folder / "1" / "model.onnx").write_text("other")
    asked = []

    async def refused(made):
        asked.append(made.model)
        raise InvalidArgument("failed to load 'm': no model")

    steward.change = refused
    for _ in range(4):
        await poller.look()
        await asyncio.sleep(0.01)
    assert asked == ["m"]
