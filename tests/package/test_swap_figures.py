"""The figures of swaps and of many models: from what clients saw to what is printed."""

from pathlib import Path

import numpy as np
import orjson
import pytest

from loadtests.client.job import Outcome
from loadtests.live import LIVE
from loadtests.many.__main__ import Found, drawn, judged
from loadtests.many.__main__ import config_of as many_config
from loadtests.many.model import Stamped, loads, published
from loadtests.swap.__main__ import rows
from loadtests.swap.load import Seen, _seen
from loadtests.swap.model import Weights, publish
from loadtests.swap.sides import config_of
from serve_app.config import InlineModel, RemoteModel, parse
from serve_app.protocol import inference_pb2 as pb


def seen(versions: list[int], sent: list[float], swaps=(), latencies=None) -> Seen:
    times = np.array(sent, dtype=float)
    took = np.full(len(sent), 0.01) if latencies is None else np.array(latencies)
    return Seen(times, times + took, took, np.array(versions), {}, 0.0, swaps=list(swaps))


def test_an_answer_of_before_counts_from_the_acknowledgement_on():
    swaps = [(1.0, 2.0, 2), (3.0, 4.0, 3)]
    # Old ones until then are right, whoever answers; a failure is none of them.
    versions = [1, 1, 2, 1, 2, 3, 2, 0]
    sent = [0.5, 1.9, 1.9, 2.1, 2.2, 3.9, 4.1, 4.2]
    found = seen(versions, sent, swaps)
    assert (found.old_answers(), found.failed) == (2, 1)
    assert found.took() == 1.0


def test_the_row_has_both_runs_and_what_went_wrong():
    quiet = seen([1] * 100, list(range(100)))
    swapping = seen([1] * 99 + [0], list(range(100)), [(1.0, 1.5, 1)], [0.02] * 99 + [np.inf])
    swapping.errors, swapping.late = {"status 503": 1}, 9.0
    row, missed, late, wrong = rows("tandem", quiet, swapping)
    assert row == "| tandem | 100 | 1 | 1 | 0 | 10.0 ms | 20.0 ms | +10.0 ms | 20 ms | 0.50 s |"
    assert missed == "  tandem: not as asked: 1 failed"
    assert "late by 9.0 ms" in late
    assert "1 x status 503" in wrong


def test_what_is_asked_of_swaps():
    quiet = seen([1] * 100, list(range(100)))
    well = seen([1, 2, 2], [0.0, 2.0, 2.1], [(1.0, 1.5, 2)])
    assert list(rows("tandem", quiet, well))[1:] == []
    late = seen([1, 1, 2], [0.0, 2.0, 2.1], [(1.0, 1.5, 2)], [0.05] * 3)
    _, missed = rows("tandem", quiet, late)
    assert missed == (
        "  tandem: not as asked: 1 old answers, p95 40.0 ms above the quiet run's, at most 10 were asked"
    )


def test_what_is_asked_of_many_models():
    found = {"failed": 0, "memory rose by": 0.01, "p99 of hits, ratio": 1.3, "loads per cold model": 1.0}
    head, *lines = judged(found)
    assert head.startswith("\n| what | at most | seen |")
    assert lines == [
        "| failed | 0 | 0 | as asked |",
        "| memory rose by | 0.05 | 0.01 | as asked |",
        "| p99 of hits, ratio | 1.1 | 1.3 | not as asked |",
        "| loads per cold model | 1 | 1 | as asked |",
    ]
    (*_, unknown) = judged({**found, "loads per cold model": float("nan")})
    assert "not as asked" in unknown


def outcome(due: list[float], kept: dict[int, bytes], sent: list[float] | None = None) -> Outcome:
    at = np.array(due)
    began = np.array(sent or due)
    return Outcome(at, began, at + 0.01, np.zeros(len(due), bool), np.zeros(1), {}, kept, 0.0, 0.0)


@pytest.mark.parametrize("grpc", [False, True])
def test_the_version_is_what_the_answer_says(grpc):
    def answer(version: int) -> bytes:
        if grpc:
            message = pb.ModelInferResponse(model_name="swapped")
            tensor = message.outputs.add(name="y", datatype="FP32", shape=[1, 4])
            tensor.contents.fp32_contents.extend([version] * 4)
            return message.SerializeToString()
        data = {"name": "y", "datatype": "FP32", "shape": [1, 4], "data": [version] * 4}
        return orjson.dumps({"model_name": "swapped", "outputs": [data]})

    # By the places in the schedule, in whatever order the answers came.
    found = _seen(outcome([0.3, 0.1, 0.2], {0: answer(4), 1: answer(5), 2: answer(6)}), 100.0, grpc)
    assert found.versions.tolist() == [6, 4, 5]
    assert found.sent.tolist() == [100.3, 100.1, 100.2]


def test_the_model_says_its_version(tmp_path: Path):
    publish(tmp_path / "m", 7, 1)
    assert [one.name for one in (tmp_path / "m").iterdir()] == ["7"]
    model = Weights()
    model.load(tmp_path / "m" / "7")
    found = model.predict({"x": np.zeros((1, 4), np.float32)}, {})
    assert found["y"].tolist() == [[7.0] * 4]
    assert (tmp_path / "m" / "7" / "weights.npy").stat().st_size > 2**20


def test_the_sides_get_the_same_model():
    inside = config_of(Path("m"), 0, "tandem", 3)
    (model,) = inside["applications"][0]["deployments"][0]["user_config"]["models"]
    assert parse(InlineModel, model).versions == "latest"
    assert "args" not in inside["applications"][0]
    loaded = config_of(Path("m"), 0, LIVE, 3)["applications"][0]  # the same, and the repository API
    assert loaded.pop("args") == {"admin": {}}
    assert loaded == inside["applications"][0]
    apart = config_of(Path("m"), 2, "tandem", 3)["applications"][1]["args"]
    assert parse(RemoteModel, apart).replicas == 2
    (model,) = config_of(Path("m"), 0, "kserve", 3)["applications"][0]["deployments"][0]["user_config"][
        "models"
    ]
    assert parse(InlineModel, model).versions == ["3"]


def test_hits_are_told_from_those_that_met_a_cold_model():
    def answer(loaded: float) -> bytes:
        return orjson.dumps({"outputs": [{"name": "loaded", "data": [loaded]}]})

    kept = {0: answer(100.05), 1: answer(100.05), 2: answer(99.0), 3: answer(100.35)}
    found = Found()
    p99 = found.add(outcome([0.0, 0.1, 0.2, 0.3], kept), 100.0, ["a", "a", "b", "a"])
    assert p99 == pytest.approx(10)
    first = found.figures()
    assert (first["hits"], first["cold"]) == (2, 2)
    assert (first["asked for"], first["requests"], first["failed"]) == (2, 4, 0)
    assert found.cold_since(100.0) == {("a", 100.05), ("a", 100.35)}
    # In the next run the model of before is a hit, and no other load.
    assert found.add(outcome([0.0], {0: answer(100.35)}), 200.0, ["a"]) == pytest.approx(10)
    both = found.figures()
    assert (both["hits"], both["requests"]) == (3, 5)
    assert len(found.cold_since(0.0)) == 3


def test_many_models_are_asked_for_by_zipfs_law(tmp_path: Path):
    names = published(tmp_path, 4, 0.01)
    model = Stamped()
    model.load(tmp_path / names[0] / "1")
    Stamped().load(tmp_path / names[1] / "1")
    Stamped().load(tmp_path / names[0] / "1")
    assert loads(tmp_path) == 3
    assert model.predict({"x": np.zeros((2, 4))}, {})["loaded"].shape == (2,)
    asked = drawn(names, 1.0)
    shares = [asked.count(name) / len(asked) for name in names]
    assert shares == pytest.approx([0.48, 0.24, 0.16, 0.12], abs=0.02)
    user = many_config(tmp_path, names, 2)["applications"][0]["deployments"][0]["user_config"]
    assert (len(user["models"]), user["limits"]) == (4, {"maxLoadedModels": 2})
    assert parse(InlineModel, user["models"][0]).name == "model-0"
