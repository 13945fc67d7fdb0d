"""One process of mixed traffic. Every answer is checked against its own question.

    python mixed.py HTTP_URL GRPC_ADDRESS SEED COUNT POOL.npz [--rude]

Asks over JSON, binary and gRPC, eight at a time, and prints {"answers", "left", "failures"}. A rude
process also leaves in the middle: sockets closed at any point, gRPC calls cancelled.
"""

import asyncio
import json
import random
import sys
import traceback
from contextlib import suppress
from urllib.parse import urlsplit

import grpc
import httpx
import numpy as np
import tritonclient.grpc as wire
import tritonclient.grpc.aio as triton_grpc
import tritonclient.http.aio as triton_http

AT_ONCE = 8


class Mixed:
    def __init__(self, url, address, seed, pool):
        self.url, self.address = url, address
        self.noise, self.seed, self.pool = random.Random(seed), seed, pool
        self.asked = 0

    async def __aenter__(self):
        self.json = httpx.AsyncClient(base_url=self.url, timeout=120, trust_env=False)
        self.binary = triton_http.InferenceServerClient(self.url.removeprefix("http://"))
        self.grpc = triton_grpc.InferenceServerClient(self.address)
        self.channel = grpc.aio.insecure_channel(self.address)
        self.infer = self.channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
        return self

    async def __aexit__(self, *_):
        await self.json.aclose()
        await self.binary.close()
        await self.grpc.close()
        await self.channel.close()

    def question(self):
        """(model, version, inputs, expected outputs, tolerance); no two of them alike."""
        model = self.noise.choices(["identity", "1", "2", "onnx", "sentences"], [4, 3, 3, 3, 1])[0]
        if model == "identity":
            marks = np.array([self.seed, self.asked, self.noise.getrandbits(30)], dtype=np.int32)
            array = np.tile(marks, (self.noise.choice([1, 7, 300]), 1))
            return "identity", "", {"x": array}, {"x": array}, 0
        if model == "sentences":
            chosen = self.noise.sample(range(len(self.pool["texts"])), self.noise.randint(1, 3))
            texts = np.array([bytes(self.pool["texts"][index]) for index in chosen], dtype=object)
            return "sentences", "", {"text": texts}, {"embedding": self.pool["vectors"][chosen]}, 1e-4
        start = self.noise.randrange(len(self.pool["pixels"]) - 80)
        rows = slice(start, start + self.noise.choice([1, 1, 2, 5, 70]))
        odds = self.pool["odds1" if model == "1" else "odds2"][rows]
        expected = {"probabilities": odds, "label": odds.argmax(1)}
        name, version = ("digits-onnx", "") if model == "onnx" else ("digits", model)
        return name, version, {"pixels": self.pool["pixels"][rows]}, expected, 1e-4

    async def ask(self):
        self.asked += 1
        model, version, inputs, expected, tolerance = self.question()
        name = f"{self.seed}-{self.asked}"
        send = self.noise.choice([self.over_json, self.over_binary, self.over_grpc])
        answered_id, outputs = await send(model, version, inputs, list(expected), name)
        assert answered_id == name, f"asked {name}, got the answer to {answered_id}"
        for key, array in expected.items():
            got = outputs[key]
            assert got.shape == array.shape, (name, model, got.shape, array.shape)
            np.testing.assert_allclose(
                got, array, rtol=0, atol=tolerance, err_msg=f"{name} {model} {key}"
            )

    async def over_json(self, model, version, inputs, wanted, name):
        path = f"/v2/models/{model}" + (f"/versions/{version}" if version else "") + "/infer"
        answer = await self.json.post(path, content=json_body(inputs, name))
        assert answer.status_code == 200, answer.text
        body = answer.json()
        return body["id"], {
            out["name"]: np.array(out["data"]).reshape(out["shape"]) for out in body["outputs"]
        }

    async def over_binary(self, model, version, inputs, wanted, name):
        tensors = []
        for key, array in inputs.items():
            tensors.append(triton_http.InferInput(key, array.shape, datatype(array)))
            tensors[-1].set_data_from_numpy(array)
        result = await self.binary.infer(model, tensors, version, request_id=name)
        return result.get_response()["id"], {key: result.as_numpy(key) for key in wanted}

    async def over_grpc(self, model, version, inputs, wanted, name):
        result = await self.grpc.infer(model, grpc_inputs(inputs), version, request_id=name)
        return result.get_response().id, {key: result.as_numpy(key) for key in wanted}

    async def leave(self):
        """Ask, and be gone before the answer."""
        model, version, inputs, _, _ = self.question()
        if self.noise.random() < 0.5:
            request = wire.service_pb2.ModelInferRequest(model_name=model, model_version=version)
            for tensor in grpc_inputs(inputs):
                request.inputs.append(tensor._get_tensor())
                request.raw_input_contents.append(tensor._get_content())
            call = self.infer(request.SerializeToString())
            for _ in range(self.noise.randrange(4)):
                await asyncio.sleep(0)  # so that some have left this process and some haven't
            call.cancel()
            with suppress(asyncio.CancelledError, grpc.RpcError):
                await call
            return
        body = json_body(inputs, "gone")
        head = (
            f"POST /v2/models/{model}/infer HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        message = head.encode() + body
        # All of it and no reading of the answer, or cut anywhere.
        cut = len(message) if self.noise.random() < 0.5 else self.noise.randrange(len(message))
        where = urlsplit(self.url)
        _, writer = await asyncio.open_connection(where.hostname, where.port)
        writer.write(message[:cut])
        await writer.drain()
        if self.noise.random() < 0.5:
            writer.transport.abort()  # a reset
        else:
            writer.close()


def datatype(array):
    return {"f": "FP32", "i": "INT32", "O": "BYTES"}[array.dtype.kind]


def grpc_inputs(inputs):
    tensors = []
    for key, array in inputs.items():
        tensors.append(wire.InferInput(key, array.shape, datatype(array)))
        tensors[-1].set_data_from_numpy(array)
    return tensors


def json_body(inputs, name):
    entries = []
    for key, array in inputs.items():
        data = [item.decode() for item in array] if array.dtype == object else array.ravel().tolist()
        entries.append({"name": key, "shape": array.shape, "datatype": datatype(array), "data": data})
    return json.dumps({"id": name, "inputs": entries}).encode()


async def run(url, address, seed, count, pool, rude):
    left, gone, failures = iter(range(count)), 0, []
    async with Mixed(url, address, seed, pool) as client:

        async def worker():
            nonlocal gone
            for _ in left:
                try:
                    if rude and client.noise.random() < 0.7:
                        await client.leave()
                        gone += 1
                    else:
                        await client.ask()
                except Exception:
                    failures.append(traceback.format_exc()[-2000:])

        await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
        return {"answers": client.asked, "left": gone, "failures": failures}


if __name__ == "__main__":
    url, address, seed, count, pool, *flags = sys.argv[1:]
    with np.load(pool, allow_pickle=False) as arrays:
        loaded = {key: arrays[key] for key in arrays.files}
    print(json.dumps(asyncio.run(run(url, address, int(seed), int(count), loaded, "--rude" in flags))))
