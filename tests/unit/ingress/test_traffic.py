"""Traffic through every edge: what decodes by a version's signature decodes by the right one's."""

import struct
from collections import Counter

import httpx
import pytest

from serve_app.config import Limits, Traffic
from serve_app.core.cold import ANY, UNKNOWN
from serve_app.ingress.grpc import Servicer
from serve_app.protocol import inference_pb2 as pb
from serve_app.protocol.metadata import ModelDescription, VersionDescription
from serve_app.protocol.tensors import TensorSpec
from tests.unit.engines import ABOUT, ENGINE, Talker, backend
from tests.unit.ingress.rest_bodies import BODY, INFER
from tests.unit.ingress.test_grpc import call
from tests.unit.planes import Echo, description, heard, targets

TESTER = {"header": "x-tester", "version": "2"}
RAW = {"Inference-Header-Content-Length": "0", "accept": "application/json"}


def split(model, **said) -> None:
    model.direct(None, Traffic.model_validate(said))


@pytest.fixture
def halves(the_plane):
    split(the_plane.directory.model("m"), weights={"1": 50, "2": 50})


async def test_v2_says_which_version_answered(http, halves):
    seen = Counter([(await http.post(INFER, json=BODY)).json()["model_version"] for _ in range(20)])
    assert seen["1"] in (9, 10, 11)
    pinned = [await http.post("/v2/models/m/versions/1/infer", json=BODY) for _ in range(4)]
    assert {one.json()["model_version"] for one in pinned} == {"1"}


async def test_http_and_grpc_give_a_user_the_same(http, the_plane):
    split(
        the_plane.directory.model("m"),
        weights={"1": 50, "2": 50},
        sticky=[{"header": "X-User"}, {"parameter": "user"}],
    )
    servicer = Servicer(the_plane, Limits)
    for user in "abcdefgh":
        answer = await http.post(INFER, json=BODY, headers={"X-User": user})
        asked = pb.ModelInferRequest(
            model_name="m", inputs=[{"name": "x", "datatype": "FP32", "shape": [1, 2]}]
        )
        asked.inputs[0].contents.fp32_contents.extend([1, 2])
        asked.parameters["user"].string_param = user
        found, _ = await call(servicer, "ModelInfer", asked.SerializeToString())
        assert found.model_version == answer.json()["model_version"]


@pytest.fixture
def unlike(the_plane):
    """Version 1 takes one number a row, version 2 two, of another type."""
    model = the_plane.directory.expect("unlike", "")
    about = description("unlike")
    for number, datatype, width in (("1", "FP32", 1), ("2", "INT64", 2)):
        spec = TensorSpec("x", datatype, (-1, width))
        about.versions[number] = VersionDescription([spec], [spec])
    model.serve("", about, targets(Echo()))
    split(model, weights={"1": 100, "2": 0}, match=[TESTER])
    return model


@pytest.mark.parametrize("value", [[1.5], [1, 2]], ids=["as the first", "as the second"])
async def test_v1_decodes_by_the_version_that_answers(http, the_plane, unlike, value):
    tester = {"x-tester": "1"} if len(value) == 2 else {}
    answer = await http.post("/v1/models/unlike:predict", json={"instances": [value]}, headers=tester)
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"predictions": [value]}
    assert heard(the_plane).requests[-1] == ("unlike", "2" if tester else "1", "")


async def test_v1_decodes_by_the_version_of_an_input(http, the_plane):
    """Which is known once it is decoded."""
    model = the_plane.directory.expect("typed", "")
    about = description("typed")
    for number, datatype in (("1", "INT64"), ("2", "FP64")):
        spec = TensorSpec("x", datatype, (-1,))
        about.versions[number] = VersionDescription([spec], [spec])
    model.serve("", about, targets(Echo()))
    split(model, weights={"1": 50, "2": 50}, sticky={"input": "x"})
    for number in range(20):
        answer = await http.post("/v1/models/typed:predict", json={"instances": [number]})
        assert answer.json() == {"predictions": [number]}
    seen = {version for name, version, _ in heard(the_plane).requests if name == "typed"}
    assert seen == {"1", "2"}


async def test_a_raw_body_is_the_tensor_of_the_version_that_answers(http, unlike):
    answer = await http.post(
        "/v2/models/unlike/infer", content=struct.pack("<2q", 1, 2), headers={**RAW, "x-tester": "1"}
    )
    assert answer.json()["model_version"] == "2"
    assert answer.json()["outputs"][0]["data"] == [1, 2]
    answer = await http.post("/v2/models/unlike/infer", content=struct.pack("<f", 1), headers=RAW)
    assert answer.json()["model_version"] == "1"


async def test_generate_decodes_by_the_version_that_answers(http, unlike):
    answer = await http.post("/v2/models/unlike/generate", json={"x": [1, 2]}, headers={"x-tester": "1"})
    assert answer.json() == {"model_name": "unlike", "model_version": "2", "x": [1, 2]}


@pytest.fixture
def talkers(the_plane) -> list[Talker]:
    """`llm`, of two applications, each with a version."""
    made = [Talker(), Talker()]
    model = the_plane.directory.expect("llm", "a")
    for talker, source, number in zip(made, "ab", "12", strict=True):
        one = backend(talker)
        model.serve(source, description("llm", ABOUT, (number,), engine=ENGINE), targets(one, (number,)))
    split(model, weights={"1": 50, "2": 50}, sticky={"parameter": "user"})
    return made


async def chat(http, **more) -> httpx.Response:
    asked = {"model": "llm", "prompt": "a", **more}
    answer = await http.post("/v1/completions", json=asked)
    assert answer.status_code == 200, answer.text
    return answer


async def test_openai_s_requests_are_split(http, talkers):
    for _ in range(10):
        await chat(http)
    first, second = (len(one.asked) for one in talkers)
    assert (first + second, first in (4, 5, 6)) == (10, True)  # a Router begins anywhere in its sequence


async def test_openai_s_users_keep_their_version(http, talkers):
    for _ in range(6):
        await chat(http, user="ann")
    assert sorted(len(one.asked) for one in talkers) == [0, 6]


async def test_openai_s_name_and_version_pins(http, talkers):
    for _ in range(3):
        await chat(http, model="llm:2", temperature=0.5)
    assert not talkers[0].asked
    path, asked = talkers[1].asked[0]
    assert (path, asked) == ("/v1/completions", {"model": "llm", "prompt": "a", "temperature": 0.5})
    answer = await http.post("/v1/completions", json={"model": "llm:7", "prompt": "a"})
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "model_not_found"


@pytest.fixture
def halved(the_plane):
    """Half of the requests each to two versions that take other types."""
    model = the_plane.directory.expect("typed", "")
    about = description("typed")
    for number, datatype in (("1", "INT64"), ("2", "FP64")):
        spec = TensorSpec("x", datatype, (-1,))
        about.versions[number] = VersionDescription([spec], [spec])
    model.serve("", about, targets(Echo()))
    split(model, weights={"1": 90, "2": 10})
    return model


@pytest.mark.parametrize("verb", ["v1", "generate", "raw"])
async def test_requests_without_a_key_are_answered_by_the_version_that_decoded_them(
    http, the_plane, halved, verb
):
    """Once chosen is chosen: each of them, with the shares that were asked for, and named by nobody."""
    for number in range(200):
        if verb == "v1":
            answer = await http.post("/v1/models/typed:predict", json={"instances": [number]})
        elif verb == "raw":
            answer = await http.post("/v2/models/typed/infer", content=bytes(8), headers=RAW)
        else:
            answer = await http.post("/v2/models/typed/generate", json={"x": number})
        assert answer.status_code == 200, answer.text
    calls = [call for call in heard(the_plane).calls if call.model == "typed"]
    seen = Counter(call.version.number for call in calls if call.version)
    assert seen == pytest.approx({"1": 180, "2": 20}, abs=3)
    assert {call.request.version for call in calls} == {""}


@pytest.mark.parametrize("verb", ["v1", "generate", "raw"])
async def test_a_tester_who_wakes_a_model_gets_the_tester_s_version(http, the_plane, verb):
    """What it takes is known when it is loaded, and not by whom else it is asked."""
    model = the_plane.directory.expect("asleep", "")
    model.serve("", ModelDescription("asleep", "python", {ANY: UNKNOWN}), {})
    split(model, weights={"1": 100, "2": 0}, match=[TESTER])
    about = description("asleep")
    for number, datatype in (("1", "INT64"), ("2", "FP64")):
        spec = TensorSpec("x", datatype, (-1,))
        about.versions[number] = VersionDescription([spec], [spec])

    async def renew(gone) -> bool:
        model.serve("", about, targets(Echo()))
        return True

    the_plane.look_for_successors(renew)
    tester = {"x-tester": "1"}
    if verb == "v1":
        asked = {"json": {"instances": [1.5]}}
        answer = await http.post("/v1/models/asleep:predict", **asked, headers=tester)
    elif verb == "generate":
        answer = await http.post("/v2/models/asleep/generate", json={"x": 1.5}, headers=tester)
    else:
        body = struct.pack("<d", 1.5)
        answer = await http.post("/v2/models/asleep/infer", content=body, headers={**RAW, **tester})
    assert answer.status_code == 200, answer.text
    assert "1.5" in answer.text
    assert heard(the_plane).requests[-1] == ("asleep", "2", "")
