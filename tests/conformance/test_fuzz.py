"""Thousands of malformed requests at once, over HTTP and gRPC: a client's fault stays a client's fault,
and the server is right afterwards."""

import asyncio
import json
import random
from collections import Counter

import grpc
import httpx
import numpy as np
import pytest

from tests.conformance import golden, mutate
from tests.conformance.rest import IDENTITY, error_of, infer_json, pixels, x
from tests.conformance.test_grpc import SERVICE
from tests.server import Server

HTTP_COUNT, GRPC_COUNT, STREAM_COUNT = 2500, 2000, 300
AT_ONCE = 8
ALLOWED = {grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND}
CHANNEL = [("grpc.max_receive_message_length", -1)]


async def bombard_http(server: Server, seed: int, share: float) -> Counter[int]:
    statuses: Counter[int] = Counter()
    noise = random.Random(seed)
    async with httpx.AsyncClient(base_url=server.url, timeout=60, trust_env=False) as client:

        async def one() -> None:
            path, body, headers = mutate.http_request(noise)
            answer = await client.post(path, content=body, headers=headers)
            said = f"seed {seed}: {path} {headers} {body[:300]!r}"
            said += f" -> {answer.status_code} {answer.text[:300]}"
            statuses[answer.status_code] += 1
            assert answer.status_code == 200 or 400 <= answer.status_code < 500, said
            if answer.status_code == 200:
                cut = int(answer.headers.get("Inference-Header-Content-Length", len(answer.content)))
                assert json.loads(answer.content[:cut])["outputs"] is not None
            else:
                error_of(answer, answer.status_code)

        await many(one, round(HTTP_COUNT * share))
    return statuses


async def bombard_grpc(server: Server, seed: int, share: float) -> Counter[grpc.StatusCode]:
    codes: Counter[grpc.StatusCode] = Counter()
    noise = random.Random(seed)
    async with grpc.aio.insecure_channel(server.grpc, options=CHANNEL) as channel:
        methods = {}

        async def one() -> None:
            method, message = mutate.grpc_request(noise)
            if method not in methods:
                methods[method] = channel.unary_unary(f"/{SERVICE}/{method}")
            code, details = grpc.StatusCode.OK, ""
            try:
                await methods[method](message, timeout=60)
            except grpc.RpcError as error:
                code, details = error.code(), error.details()
            codes[code] += 1
            assert code in ALLOWED, f"seed {seed}: {method} {message!r} -> {code} {details}"
            assert "Traceback" not in details

        await many(one, round(GRPC_COUNT * share))
        messages = [mutate.grpc_request(noise) for _ in range(round(STREAM_COUNT * share))]
        requests = [message for method, message in messages if method == "ModelInfer"]
        stream = channel.stream_stream(f"/{SERVICE}/ModelStreamInfer")(iter(requests), timeout=120)
        assert len([answer async for answer in stream]) == len(requests)
    return codes


async def many(one, count: int) -> None:
    """`count` runs of `one`, `AT_ONCE` at a time."""
    left = iter(range(count))

    async def worker() -> None:
        for _ in left:
            await one()

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(worker())


async def test_malformed_requests(server: Server) -> None:
    # Serve's own way in costs four times as much, and both lead to the same decoders.
    await bombard(server, 1, 1 if server.mode == "high-throughput" else 0.2)


@pytest.mark.long
@pytest.mark.parametrize("seed", [2, 3])
async def test_many_malformed_requests(server: Server, seed: int) -> None:
    await bombard(server, seed, 2)


async def bombard(server: Server, seed: int, share: float) -> None:
    async with asyncio.TaskGroup() as group:
        http = group.create_task(bombard_http(server, seed, share))
        rpc = group.create_task(bombard_grpc(server, seed, share))
    # It was a real mixture, not one check that refuses everything.
    assert http.result()[200] > HTTP_COUNT * share / 20
    assert http.result()[400] > HTTP_COUNT * share / 3
    assert rpc.result()[grpc.StatusCode.OK] > GRPC_COUNT * share / 20
    assert rpc.result()[grpc.StatusCode.INVALID_ARGUMENT] > GRPC_COUNT * share / 3
    check_right(server)


def check_right(server: Server) -> None:
    """Every demo model answers, and correctly."""
    rows = golden.held_out()[0][:3]
    texts = golden.SENTENCES[:1]
    with server.http() as http:
        assert http.post(IDENTITY, json=infer_json(x())).json()["outputs"] == [x()]
        for path in ("digits/versions/1", "digits", "digits-onnx"):
            expected = golden.digits(rows, "1" if path.endswith("1") else "2")
            body = infer_json(pixels(rows.tolist()), outputs=[{"name": "probabilities"}])
            [odds] = http.post(f"/v2/models/{path}/infer", json=body).json()["outputs"]
            got = np.array(odds["data"]).reshape(odds["shape"])
            np.testing.assert_allclose(got, expected["probabilities"], atol=1e-4)
        tensor = {"name": "text", "shape": [1], "datatype": "BYTES", "data": texts}
        [output] = http.post("/v2/models/sentences/infer", json=infer_json(tensor)).json()["outputs"]
        np.testing.assert_allclose(output["data"], golden.sentence(texts[0]), atol=1e-4)
    with grpc.insecure_channel(server.grpc) as channel:
        assert channel.unary_unary(f"/{SERVICE}/ServerReady")(b"", timeout=30) == b"\x08\x01"
