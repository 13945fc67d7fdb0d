"""`python -m loadtests.graph`: a step of a graph, inside the Router, and a call through HTTP.

One client on one kept connection. A step is the difference between a Sequence of nine steps and one of a
single step, divided by eight; the call is a request for the model by itself, which is what a router that
passes bodies on over HTTP does for each step, at the least.
"""

import argparse
import http.client
import json
import statistics
import time
from typing import Any

from loadtests.servers import Server

MORE = 8
ROW = [1.5, -2.25, 3.125, 4.0]
V1: tuple[str, Any] = ("/v1/models/{}:predict", {"instances": [ROW]})
V2: tuple[str, Any] = (
    "/v2/models/{}/infer",
    {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": ROW}]},
)
NAMES = {"one": 1, "many": 1 + MORE}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m loadtests.graph", description=__doc__)
    parser.add_argument("--requests", type=int, default=1500, help="of each kind, in each round")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    with Server("tandem", config(), ["identity", *NAMES]) as server:
        server.settle()
        for protocol, (path, body) in (("V1", V1), ("V2", V2)):
            steps, calls = [], []
            for _ in range(given.rounds):
                times = {
                    name: seconds(server.http_port, path.format(name), body, given.requests)
                    for name in ("identity", *NAMES)
                }
                steps.append((times["many"] - times["one"]) / MORE * 1e6)
                calls.append(times["identity"] * 1e6)
            step, call = statistics.median(steps), statistics.median(calls)
            print(
                f"{protocol}: a step {step:.0f} µs ({min(steps):.0f}-{max(steps):.0f}), a call "
                f"through HTTP {call:.0f} µs ({min(calls):.0f}-{max(calls):.0f}): {step / call:.2f}"
            )


def config() -> dict[str, Any]:
    """The echo, and Sequences of it."""
    graphs = [
        {
            "name": name,
            "nodes": {
                "root": {"routerType": "Sequence", "steps": [{"serviceName": "identity"}] * steps}
            },
        }
        for name, steps in NAMES.items()
    ]
    spec = {"name": "x", "datatype": "FP32", "shape": [-1, 4]}
    model = {
        "name": "identity",
        "modelFormat": "python",
        "class": "serve_app.demo.identity:Identity",
        "inputs": [spec],
        "outputs": [spec],
    }
    user = {"logging": {"requests": False}, "models": [model], "graphs": graphs}
    return {
        "grpc_options": {
            "grpc_servicer_functions": ["serve_app.ingress.grpc.add_inference_service"],
            "enable_reflection": False,
        },
        "logging_config": {"enable_access_log": False},
        "applications": [
            {
                "name": "tandem",
                "route_prefix": "/",
                "import_path": "serve_app.app:build_router",
                "deployments": [
                    {"name": "Router", "ray_actor_options": {"num_cpus": 0.5}, "user_config": user}
                ],
            }
        ],
    }


def seconds(port: int, path: str, body: Any, requests: int) -> float:
    """The median of that many requests, one after the other on one connection."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    text, taken = json.dumps(body), []
    for _ in range(requests):
        began = time.perf_counter()
        client.request("POST", path, text)
        answer = client.getresponse()
        answer.read()
        taken.append(time.perf_counter() - began)
        if answer.status != 200:
            raise SystemExit(f"{path} answered {answer.status}")
    client.close()
    return statistics.median(taken)


if __name__ == "__main__":
    main()
