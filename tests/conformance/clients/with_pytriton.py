"""PyTriton's clients, each over both protocols. Writes what they got.

    python with_pytriton.py HTTP_URL GRPC_ADDRESS PIXELS.npy RESULTS.json

They learn a model's inputs from Triton's model configuration, and poll for models that aren't there.
"""

import asyncio
import json
import sys
import warnings

import numpy as np
from driver import pack
from pytriton.client import AsyncioModelClient, FuturesModelClient, ModelClient
from pytriton.client.exceptions import PyTritonClientTimeoutError

TEXTS = np.array([[b"a short one"], [b"another"]], dtype=object)
warnings.simplefilter("ignore")  # of gRPC's missing timeouts


def packed(result):
    return [pack(name, array) for name, array in result.items()]


async def by_asyncio(url, pixels):
    client = AsyncioModelClient(url, "digits")
    try:
        return await client.infer_batch(pixels)
    finally:
        await client.close()


def refused(url):
    """How the client sees a model that isn't there."""
    try:
        with ModelClient(url, "nobody", init_timeout_s=1) as client:
            client.infer_sample(np.zeros(1, np.float32))
    except PyTritonClientTimeoutError as error:
        return type(error).__name__
    return "answered"


def results(url, pixels):
    with ModelClient(url, "digits") as client:
        found = {"batch": packed(client.infer_batch(pixels))}
        found["sample"] = packed(client.infer_sample(pixels[0]))
        found["named"] = packed(client.infer_batch(pixels=pixels))
        found["parameters"] = packed(client.infer_batch(pixels, parameters={"a": 1}))
    with FuturesModelClient(url, "digits") as client:
        found["futures"] = packed(client.infer_batch(pixels).result())
    found["asyncio"] = packed(asyncio.run(by_asyncio(url, pixels)))
    with ModelClient(url, "sentences") as client:
        found["texts"] = packed(client.infer_batch(TEXTS))
    found["nobody"] = refused(url)
    return found


def main(http, grpc, pixels, results_file):
    array = np.load(pixels)
    found = {"http": results(http, array), "grpc": results(f"grpc://{grpc}", array)}
    with open(results_file, "w") as file:
        json.dump(found, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
