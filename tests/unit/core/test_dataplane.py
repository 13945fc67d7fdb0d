import asyncio

import pytest

from serve_app.errors import (
    DeadlineExceeded,
    InvalidArgument,
    ModelFailed,
    NotFound,
    Unavailable,
    raised,
)
from serve_app.protocol.metadata import VersionDescription
from serve_app.protocol.tensors import TensorSpec
from tests.unit.planes import UNDECLARED, Echo, Raises, call, heard, plane, served, tensor

ROW = [[1.0, 2.0]]


class Never:
    """No answer, ever."""

    async def predict(self, version, inputs, parameters):
        await asyncio.Event().wait()


async def test_an_answer_names_the_version_that_gave_it():
    p = plane()
    served(p)
    answer = await p.infer(call(tensor(ROW), id="abc"))
    assert (answer.model, answer.version, answer.id) == ("m", "2", "abc")
    assert [(t.name, t.datatype, t.data.tolist()) for t in answer.outputs] == [
        ("y", "FP32", [[12, 22]]), ("z", "FP32", ROW),
    ]  # fmt: skip
    assert (await p.infer(call(tensor(ROW), version="1"))).outputs[0].data.tolist() == [[11, 21]]


async def test_a_request_without_an_id_gets_one():
    p = plane()
    served(p)
    ids = {(await p.infer(call(tensor(ROW)))).id for _ in range(3)}
    assert len(ids) == 3
    assert "" not in ids


async def test_only_the_asked_outputs_in_the_asked_order():
    p = plane()
    served(p)
    answer = await p.infer(call(tensor(ROW), outputs=["z", "y"]))
    assert [t.name for t in answer.outputs] == ["z", "y"]
    assert [t.name for t in (await p.infer(call(tensor(ROW), outputs=["z"]))).outputs] == ["z"]


@pytest.mark.parametrize(
    ("asked", "kind", "message"),
    [
        ({"model": "n"}, NotFound, "no model 'n'"),
        ({"version": "3"}, NotFound, "no version '3'; it has 1, 2"),
        ({"outputs": ["q"]}, InvalidArgument, "'q' is not an output of model 'm', which has y, z"),
        ({"outputs": ["y", "y"]}, InvalidArgument, "'y' is asked for twice"),
        ({"parameters": {"timeout": -1}}, InvalidArgument, "timeout must be microseconds, got -1"),
        ({"parameters": {"timeout": "5"}}, InvalidArgument, 'timeout must be microseconds, got "5"'),
        ({"parameters": {"timeout": True}}, InvalidArgument, "timeout must be microseconds, got true"),
    ],
)
async def test_wrong_requests(asked, kind, message):
    p = plane()
    served(p)
    with pytest.raises(kind, match=message):
        await p.infer(call(tensor(ROW), **asked))


async def test_an_output_of_an_undeclared_model_is_checked_after_the_fact():
    p = plane()
    served(p, backend=Echo(), about=UNDECLARED)
    with pytest.raises(InvalidArgument, match="'y' is not an output of model 'm', which answered x"):
        await p.infer(call(tensor(ROW), outputs=["y"]))


@pytest.mark.parametrize("extra", [{}, {"max_batch_size": 4}])
async def test_no_answer_in_time(extra):
    p = plane()
    served(p, backend=Never(), **extra)
    with pytest.raises(DeadlineExceeded, match=r"model 'm' gave no answer within 0\.001 s"):
        await p.infer(call(tensor(ROW), parameters={"timeout": 1000}))
    p.timeout = 0.002
    for timeout in ({}, {"timeout": 0}, {"timeout": 10**12}, {"timeout": 2.0**63}):
        with pytest.raises(DeadlineExceeded, match=r"within 0\.002 s"):
            await p.infer(call(tensor(ROW), parameters=timeout))


@pytest.mark.parametrize("extra", [{}, {"max_batch_size": 4}])
async def test_the_models_failure_has_its_kind_and_the_request_id_and_its_words_where_that_is_set(extra):
    p = plane()
    served(p, backend=Raises(raised("model 'm' raised", ValueError("the password"))), **extra)
    with pytest.raises(ModelFailed, match=r"^model 'm' raised ValueError \(request id abc\)$"):
        await p.infer(call(tensor(ROW), id="abc"))
    p.exception_texts = True
    with pytest.raises(ModelFailed, match=r"raised ValueError: the password \(request id abc\)$"):
        await p.infer(call(tensor(ROW), id="abc"))


async def test_what_happened_is_counted_and_logged():
    p = plane()
    served(p)
    served(p, "slow", backend=Never())
    served(p, "bad", backend=Raises(ModelFailed("no")))
    served(p, "buggy", backend=Raises(RuntimeError("a bug of ours")))
    await p.infer(call(tensor(ROW), id="a"))
    for asked, kind in (
        ({"outputs": ["q"]}, InvalidArgument),
        ({"version": "9"}, NotFound),
        ({"model": "none"}, NotFound),
        ({"model": "bad"}, ModelFailed),
        ({"model": "buggy"}, RuntimeError),
    ):
        with pytest.raises(kind):
            await p.infer(call(tensor(ROW), id="b", **asked))
    leaves = asyncio.create_task(p.infer(call(tensor(ROW), model="slow", id="c")))
    await asyncio.sleep(0)
    leaves.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaves
    log = [
        (c.request.id, c.request.model, c.version.number if c.version else c.request.version, c.status)
        for c in heard(p).calls
    ]
    assert log == [
        ("a", "m", "2", "OK"), ("b", "m", "2", "InvalidArgument"), ("b", "m", "9", "NotFound"),
        ("b", "none", "", "NotFound"), ("b", "bad", "2", "ModelFailed"),
        ("b", "buggy", "2", "RuntimeError"),
        ("c", "slow", "2", "Cancelled"),
    ]  # fmt: skip
    assert heard(p).requests == [
        ("m", "2", ""), ("m", "2", "InvalidArgument"), ("m", "", "NotFound"),
        ("bad", "2", "ModelFailed"),
        ("buggy", "2", "RuntimeError"), ("slow", "2", "Cancelled"),
    ]  # fmt: skip
    (about,) = p.statistics("m", "2")
    stats = about["inference_stats"]
    assert (stats["success"]["count"], stats["fail"]["count"]) == (1, 1)
    assert (about["inference_count"], about["execution_count"]) == (1, 1)
    assert about["last_inference"] > 0
    assert [entry["batch_size"] for entry in about["batch_stats"]] == [1]


def test_statistics_of_one_of_all_and_of_none():
    p = plane()
    with pytest.raises(NotFound):
        p.statistics("m")
    assert p.statistics() == p.statistics("", "1") == []
    served(p)
    served(p, "n", versions=("3",))
    assert [(s["name"], s["version"]) for s in p.statistics()] == [("m", "1"), ("m", "2"), ("n", "3")]
    assert [s["version"] for s in p.statistics("m", "1")] == ["1"]
    assert [(s["name"], s["version"]) for s in p.statistics("", "3")] == [("n", "3")]
    with pytest.raises(NotFound):
        p.statistics("m", "7")


def test_readiness():
    p = plane()
    with pytest.raises(NotFound):
        p.model_ready("m")
    p.directory.expect("m", "")
    assert not p.model_ready("m")
    assert not p.model_ready("m", "9")  # not known yet whether it has one
    model = served(p)
    assert p.model_ready("m")
    assert p.model_ready("m", "1")
    with pytest.raises(NotFound):
        p.model_ready("m", "9")
    model.direct("5", None)
    assert not p.model_ready("m")
    assert p.model_ready("m", "1")
    model.unavailable("", "gone")
    assert not p.model_ready("m", "1")


def test_metadata_and_config():
    p = plane()
    x = TensorSpec("x", "BYTES", (-1, 3), optional=True)
    served(
        p,
        about=VersionDescription([x], [TensorSpec("y", "FP16", (-1,))]),
        max_batch_size=8,
        max_latency=1.5,
    )
    assert p.model_metadata("m") == {
        "name": "m",
        "versions": ["1", "2"],
        "platform": "python",
        "inputs": [{"name": "x", "datatype": "BYTES", "shape": [-1, 3]}],
        "outputs": [{"name": "y", "datatype": "FP16", "shape": [-1]}],
    }
    config = p.model_config("m", "1")
    assert config["max_batch_size"] == 8
    # Triton's dims leave the batch dimension out where there is one.
    assert config["input"] == [{"name": "x", "data_type": "TYPE_STRING", "dims": [3], "optional": True}]
    assert config["output"] == [
        {"name": "y", "data_type": "TYPE_FP16", "dims": [1], "reshape": {"shape": []}}
    ]
    assert config["dynamic_batching"] == {
        "preferred_batch_size": [8],
        "max_queue_delay_microseconds": 1500,
    }
    served(p, "n")
    assert p.model_config("n")["input"][0]["dims"] == [-1, 2]
    assert "dynamic_batching" not in p.model_config("n")


def test_metadata_of_what_is_not_there():
    p = plane()
    p.directory.expect("m", "")
    for ask in (p.model_metadata, p.model_config):
        with pytest.raises(NotFound):
            ask("n")
        with pytest.raises(Unavailable, match="loading"):
            ask("m")


def test_the_index_lists_every_version_and_its_state():
    p = plane()
    served(p)
    p.directory.expect("n", "", "its application is DEPLOYING")
    ready = [{"name": "m", "version": v, "state": "READY", "reason": ""} for v in ("1", "2")]
    down = {"name": "n", "version": "", "state": "UNAVAILABLE", "reason": "its application is DEPLOYING"}
    assert p.repository_index() == [*ready, down]
    assert p.repository_index(only_ready=True) == ready


def test_the_server_names_only_what_works():
    about = plane().server_metadata()
    assert about["name"] == "tandem"
    assert set(about["extensions"]) == {
        "binary_tensor_data",
        "classification",
        "model_configuration",
        "parameters",
        "statistics",
    }
