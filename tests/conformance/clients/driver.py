"""Runs the cases of a file through one client and writes what came back. Needs numpy alone.

    python CLIENT.py HTTP_URL GRPC_ADDRESS CASES.json RESULTS.json

A case names a verb (`call`), a method of the client's class. A result is `{"value": …}`, the error
as the client surfaces it (`{"error": {"status", "message"}}`), or a `{"crash": traceback}`.
"""

import asyncio
import base64
import inspect
import json
import sys
import traceback

import numpy as np

try:
    import ml_dtypes

    BF16 = np.dtype(ml_dtypes.bfloat16)
except ImportError:  # not in kserve's environment, nor known to its client
    BF16 = np.dtype("V2")

DTYPES = {
    "BOOL": np.dtype(bool),
    **{
        f"{sign}INT{bits}": np.dtype(f"{sign}int{bits}".lower())
        for sign in ("", "U")
        for bits in (8, 16, 32, 64)
    },
    "FP16": np.dtype(np.float16),
    "BF16": BF16,
    "FP32": np.dtype(np.float32),
    "FP64": np.dtype(np.float64),
    "BYTES": np.dtype(object),
}


def pack(name, array):
    """An array as JSON, bit by bit. BYTES go element by element: numpy would cut their zeros off."""
    datatype = next((key for key, dtype in DTYPES.items() if dtype == array.dtype), None)
    tensor = {"name": name, "datatype": datatype or str(array.dtype), "shape": list(array.shape)}
    if datatype == "BYTES":
        items = [item.encode() if isinstance(item, str) else item for item in array.ravel()]
        return {**tensor, "items": [base64.b64encode(item).decode() for item in items]}
    return {**tensor, "data": base64.b64encode(array.tobytes()).decode()}


def unpack(tensor):
    """The array of `pack`."""
    shape = tensor["shape"]
    if "items" in tensor:
        array = np.empty(len(tensor["items"]), dtype=object)
        array[:] = [base64.b64decode(item) for item in tensor["items"]]
        return array.reshape(shape)
    return np.frombuffer(base64.b64decode(tensor["data"]), dtype=DTYPES[tensor["datatype"]]).reshape(
        shape
    )


def main(client_class):
    """Entry point of every client script."""
    http, grpc, cases_file, results_file = sys.argv[1:]
    with open(cases_file) as file:
        cases = json.load(file)
    results = asyncio.run(_run(client_class, http, grpc, cases))
    with open(results_file, "w") as file:
        json.dump(results, file)


async def _run(client_class, http, grpc, cases):
    client = client_class(http, grpc)  # inside the loop: the aio clients want one
    results = {}
    for case in cases:
        try:
            results[case["name"]] = {"value": await _awaited(getattr(client, case["call"])(case))}
        except client_class.failure as error:
            status, message = client.surfaced(error)
            results[case["name"]] = {"error": {"status": status, "message": message}}
        except Exception:
            results[case["name"]] = {"crash": traceback.format_exc()}
    await _awaited(client.close())
    return results


async def _awaited(value):
    return await value if inspect.isawaitable(value) else value
