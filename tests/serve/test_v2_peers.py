"""Models of real V2 servers, MLServer's and KServe's own, asked through `modelFormat: v2`."""

import asyncio

import pytest

from loadtests.bench.points import chosen
from loadtests.bench.servers import serving
from serve_app.errors import InvalidArgument, ModelFailed
from tests.server import ROOT
from tests.unit.runtimes.tabular import Served, matrix

pytestmark = pytest.mark.live

FLOWERS = matrix([[5.1, 3.5, 1.4, 0.2], [6.3, 3.3, 6.0, 2.5]], "input-0", "FP32")


@pytest.fixture(scope="module", params=["mlserver", "kserve"])
def peer(request):
    """One of them, with iris on its own runtime for scikit-learn."""
    if not (ROOT / f".venv-{request.param}" / ".bench").exists():
        pytest.skip(f"{request.param} isn't set up: make .venv-{request.param}/.bench")
    points = [point for point in chosen("iris") if point.connections == 1]
    with serving(request.param, points) as server:
        yield server


@pytest.mark.parametrize("scheme", ["http", "grpc"])
async def test_a_real_server_s_model(peer, scheme):
    port = peer.http_port if scheme == "http" else peer.grpc_port
    options = {"address": f"{scheme}://127.0.0.1:{port}", "model": "iris", "wait": 20}
    served = await asyncio.to_thread(Served, "", "v2", options=options)
    (answer,) = (await served.v2([FLOWERS])).values()
    assert (answer["datatype"], answer["data"]) == ("INT64", [0, 2])
    if peer.name == "mlserver":  # which computes what is asked for alone
        odds = await served.v2([FLOWERS], ("predict_proba",))
        assert odds["predict_proba"]["shape"] == [2, 3]
    with pytest.raises((InvalidArgument, ModelFailed)):
        await served.v2([matrix([[1, 2]], "input-0", "FP32")])
    assert served.host.trouble == ""
    await asyncio.to_thread(served.close)
    await asyncio.sleep(0.05)
