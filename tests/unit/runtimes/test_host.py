import asyncio
import contextlib
import shutil
import threading

import numpy as np
import pytest

from serve_app.config import Batching, ModelConfig, parse
from serve_app.demo.identity import Identity
from serve_app.errors import ConfigError, InvalidArgument, ModelFailed, NotFound
from serve_app.protocol.tensors import TensorSpec
from serve_app.runtimes.host import ModelHost
from serve_app.runtimes.one_version import example_arrays
from tests.unit.arrays import DATATYPES, DTYPES

X = {"x": np.array([[1, 2]], dtype=np.float32)}


@pytest.fixture
def host():
    """Makes loaded hosts of the classes in tests/unit/models.py and closes them afterwards."""
    with contextlib.ExitStack() as stack:

        def make(name: str, **changes) -> ModelHost:
            data = {"name": "m", "modelFormat": "python", "class": f"tests.unit.models:{name}"} | changes
            made = ModelHost(parse(ModelConfig, data))
            stack.callback(made.close)
            made.load()
            return made

        yield make


async def test_sync_models_run_in_a_thread_and_async_ones_on_the_loop(host):
    assert (await host("Double").predict("1", X, {}))["y"].tolist() == [[2, 4]]
    assert (await host("AsyncDouble").predict("1", X, {}))["x"].tolist() == [[2, 4]]


def test_only_a_users_coroutine_may_ignore_its_cancellation(host):
    assert host("AsyncDouble").versions["1"].uncancellable
    assert not host("Double").versions["1"].uncancellable


async def test_a_slow_model_does_not_block_the_loop(host):
    made = host("Double")
    go, user = threading.Event(), made.versions["1"]._runtime._model

    def waits(inputs, parameters):
        assert go.wait(20)
        return {"y": inputs["x"]}

    user.predict = waits
    running = asyncio.create_task(made.predict("1", X, {}))
    await asyncio.sleep(0)
    go.set()  # the loop came here although the model was still waiting
    assert (await running)["y"].tolist() == [[1, 2]]


def test_loading_warms_up_with_the_examples(host):
    example = [{"name": "x", "datatype": "FP32", "shape": [-1, 2], "example": [1, 2, 3, 4]}]
    assert host("Double").versions["1"]._runtime._model.seen == [(1, 2)]
    assert host("Double", inputs=example).versions["1"]._runtime._model.seen == [(2, 2)]
    assert host("Double", warmUp=False).versions["1"]._runtime._model.seen == []


@pytest.mark.parametrize("datatype", DATATYPES)
def test_examples_of_every_datatype(datatype):
    arrays = example_arrays(
        [TensorSpec("x", datatype, (-1, 3)), TensorSpec("o", datatype, (1,), optional=True)]
    )
    assert list(arrays) == ["x"]
    assert (arrays["x"].shape, arrays["x"].dtype) == ((1, 3), DTYPES[datatype])


async def test_versions_side_by_side(host, demo_models, tmp_path):
    shutil.copytree(demo_models / "digits", tmp_path / "digits")
    (tmp_path / "digits" / "2").rename(tmp_path / "digits" / "10")
    tensor = {"datatype": "FP32", "shape": [-1, 64]}
    digits = {
        "modelFormat": "torch", "class": None, "storageUri": str(tmp_path / "digits"),
        "inputs": [{"name": "pixels", **tensor}],
        "outputs": [{**tensor, "name": "probabilities", "shape": [-1, 10]},
                    {"name": "label", "datatype": "INT64", "shape": [-1]}],
    }  # fmt: skip
    made = host("", **digits)
    about = made.describe(Batching(maxBatchSize=8, maxLatency=2), 3)
    assert (about.name, about.platform, list(about.versions)) == ("m", "torch", ["1", "10"])
    assert (about.max_batch_size, about.max_latency, about.in_flight) == (8, 2, 3)
    pixels = {"pixels": np.ones((1, 64), dtype=np.float32)}
    one, ten = [await made.predict(version, pixels, {}) for version in ("1", "10")]
    assert not np.array_equal(one["probabilities"], ten["probabilities"])
    with pytest.raises(NotFound, match="no version '2'"):
        await made.predict("2", pixels, {})
    assert list(host("", **digits | {"versions": "latest"}).describe(None, 1).versions) == ["10"]
    with pytest.raises(ConfigError, match="versions: 3 asked for"):
        host("", **digits | {"versions": ["3"]})


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Refuses", "model 'm' version 1: OSError: the disk is gone"),
        ("NoPredict", "model 'm' version 1: .*has no predict"),
        ("Nobody", "model 'm' version 1: class 'tests.unit.models:Nobody' can't be imported"),
    ],
)
def test_what_cannot_be_loaded_names_model_and_version(host, name, message):
    with pytest.raises(ConfigError, match=message):
        host(name)


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("raises", "model 'm' raised RuntimeError$"),
        ("stops", "model 'm' raised StopIteration$"),
        ("exits", "model 'm' raised SystemExit$"), ("interrupts", "raised KeyboardInterrupt$"),
        ("a list", "returned list, not a dict"), ("None", "returned NoneType, not a dict"),
        ("ragged", "output 'y'"),
        ("a complex array", "output 'y' is a complex128 array that V2 can't carry"),
        ("dates", "output 'y' is a datetime64"), ("an object array", "output 'y' is a object array"),
        ("a set", "output 'y' is a object array"), ("half a surrogate pair", "output 'y'"),
        ("a number as a name", "1"), ("cancels", "cancel"),
    ],
)  # fmt: skip
async def test_the_models_faults(host, what, message):
    with pytest.raises(ModelFailed, match=message):
        await host("Returns", options={"what": what}).predict("1", X, {})


@pytest.mark.parametrize("what", ["stops", "exits", "interrupts", "raises"])
async def test_a_coroutine_s_faults(host, what):
    with pytest.raises(ModelFailed, match="model 'm' raised"):
        await host("AsyncReturns", options={"what": what}).predict("1", X, {})


async def test_an_exception_that_quotes_its_input_is_cut(host, caplog):
    with pytest.raises(ModelFailed, match=r"raised KeyError$") as failed:
        await host("Returns", options={"what": "quotes its input"}).predict("1", X, {})
    assert 2000 < len(failed.value.whole) < 2100
    assert len(caplog.records[-1].getMessage()) < 23_000
    assert len(caplog.text) < 24_000


@pytest.mark.parametrize("name", ["Exits", "Stops"])
def test_a_model_that_ends_while_it_loads_is_not_loaded(host, name):
    with pytest.raises(ConfigError, match=r"version 1: (SystemExit: 3|StopIteration: done)"):
        host(name)


async def test_a_cancellation_nobody_asked_for_is_the_models_fault(host):
    with pytest.raises(ModelFailed, match="cancel"):
        await host("AsyncCancels").predict("1", X, {})


async def test_a_model_may_refuse_a_request(host):
    with pytest.raises(InvalidArgument, match="too dark"):
        await host("Returns", options={"what": "refuses"}).predict("1", X, {})


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ("text", np.array([b"a", "é".encode()], dtype=object)),
        ("numpy text", np.array([b"a", "é".encode()], dtype=object)),
        ("numpy bytes", np.array([b"a", b"bc"], dtype=object)),
        ("mixed text", np.array([b"a", b"\xff"], dtype=object)),
        ("a float", np.array(1.5)),
        ("big-endian", np.array([1, 2], dtype="<i4")),
        ("long long", np.array([1], dtype="<i8")),
        ("transposed", np.array([[0, 3], [1, 4], [2, 5]], dtype=np.int32)),
    ],
)
async def test_what_a_model_may_return(host, what, expected):
    got = (await host("Returns", options={"what": what}).predict("1", X, {}))["y"]
    assert (got.dtype, got.shape, got.tolist()) == (expected.dtype, expected.shape, expected.tolist())


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        (
            [{"name": "y", "datatype": "FP32", "shape": []}],
            r"'y' of model 'm' is FP64 \[\], but FP32 \[\] in its",
        ),
        ([{"name": "y", "datatype": "FP64", "shape": [-1]}], r"is FP64 \[\], but FP64 \[-1\]"),
        ([{"name": "z", "datatype": "FP64", "shape": []}], "but not declared in its metadata"),
        ([{"name": n, "datatype": "FP64", "shape": []} for n in "yz"], "model 'm' didn't return z"),
    ],
)
async def test_an_answer_that_breaks_its_declaration(host, declared, message):
    made = host("Returns", options={"what": "a float"}, outputs=declared)
    with pytest.raises(ModelFailed, match=message):
        await made.predict("1", X, {})


async def test_closing_waits_for_what_runs_and_closes_the_users_object(host):
    made = host("Double")
    user = made.versions["1"]._runtime._model
    running = asyncio.create_task(made.predict("1", X, {}))
    await asyncio.sleep(0)
    await asyncio.to_thread(made.close)
    assert (await running)["y"].tolist() == [[2, 4]]
    assert user.closed
    with pytest.raises(NotFound):
        await made.predict("1", X, {})


async def test_identity_gives_back_what_it_gets():
    assert await Identity().predict(X, {}) is X


class Picky:
    """Takes nothing but positive numbers."""

    def predict(self, inputs, parameters):
        if (inputs["x"] <= 0).any():
            raise ValueError("x must be positive")
        return {"y": inputs["x"]}


class ByClass:
    """Gives what onnxruntime makes of scikit-learn's ZipMap."""

    def predict(self, inputs, parameters):
        return {"p": [{0: 0.5, 1: 0.5}] * len(inputs["x"])}


def test_a_warm_up_that_fails_says_what_it_was_run_on(host):
    own = {"class": f"{__name__}:Picky"}
    tensor = {"name": "x", "datatype": "FP32", "shape": [-1, 2]}
    with pytest.raises(ConfigError) as caught:
        host("", **own, inputs=[tensor])
    text = str(caught.value)
    assert "failed on an invented example (x FP32 [1, 2] of [0])" in text
    assert "`example: […]` of inputs.x, or set warmUp: false" in text
    assert text.endswith("ValueError: x must be positive")
    with pytest.raises(ConfigError, match=r"the warm-up failed on the example of x: ValueError"):
        host("", **own, inputs=[tensor | {"example": [-1, 2]}])
    host("", **own, inputs=[tensor | {"example": [1, 2]}])
    host("", **own, inputs=[tensor], warmUp=False)


def test_batches_of_a_model_with_one_size(host):
    """Requests are joined along the first dimension."""
    fixed = [{"name": "x", "datatype": "FP32", "shape": [1, 2]}]
    with pytest.raises(ConfigError, match=r"input 'x' is \[1, 2\]: exactly 1 there.*dynamic shapes"):
        host("Double", inputs=fixed, batching={"maxBatchSize": 8})
    host("Double", inputs=fixed, batching={"maxBatchSize": 1})
    host("Double", inputs=fixed)


async def test_rows_of_dicts_say_how_to_make_an_array_of_them(host):
    made = host("", **{"class": f"{__name__}:ByClass"})
    with pytest.raises(ModelFailed, match=r"it holds dicts.*seq\(map.*list\(row.values\(\)\)"):
        await made.predict("1", {"x": np.zeros((2, 1), np.float32)}, {})
