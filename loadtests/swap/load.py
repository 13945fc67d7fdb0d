"""An open loop of requests over HTTP and gRPC, and which version answered each."""

import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import orjson

from loadtests.arrivals import constant
from loadtests.client.job import Job, Outcome
from loadtests.client.run import run
from loadtests.client.target import Target
from loadtests.swap.sides import NAME
from serve_app.protocol import client
from serve_app.protocol import inference_pb2 as pb

CONNECTIONS = 64
PATIENCE_S = 20.0


@dataclass
class Seen:
    """What the clients of one run saw. Times in seconds, on one clock."""

    sent: np.ndarray
    done: np.ndarray
    latencies: np.ndarray  # infinite for what failed
    versions: np.ndarray  # 0 for what failed
    errors: dict[str, int]
    late: float  # how late the client itself was, at the 99th percentile
    begin: float = 0.0
    swaps: list[tuple[float, float, int]] = field(default_factory=list)  # asked, acknowledged, version

    @property
    def failed(self) -> int:
        """Requests without an answer that is one."""
        return int((self.versions == 0).sum())

    def old_answers(self) -> int:
        """Answers of a version of before to requests that were sent after the acknowledgement."""
        old = 0
        for _, acknowledged, version in self.swaps:
            late = (self.sent > acknowledged) & (self.versions > 0)
            old += int((late & (self.versions < version)).sum())
        return old

    def percentile(self, share: float) -> float:
        """Milliseconds, of what was answered."""
        answered = self.latencies[np.isfinite(self.latencies)]
        return float(np.percentile(answered, share)) * 1000 if len(answered) else float("nan")

    def took(self) -> float:
        """Seconds from the trigger to the acknowledgement, in the middle."""
        return float(np.median([done - asked for asked, done, _ in self.swaps])) if self.swaps else 0.0


@dataclass(frozen=True)
class Swap:
    """`publish` puts another version beside the others, and names it; `trigger` returns when that one
    is served."""

    publish: Callable[[], int]
    trigger: Callable[[int], None]


def measured(target: Target, rate: float, seconds: float, swap: Swap | None, swaps: int) -> Seen:
    """Half of the requests over each transport, a client process each; `swap` is done `swaps` times."""
    found: dict[bool, Outcome] = {}
    begins: dict[bool, float] = {}
    failures: list[BaseException] = []
    with tempfile.TemporaryDirectory() as folder:

        def ask(grpc: bool) -> None:
            try:
                job = _job(target, Path(folder), grpc, rate / 2, seconds)
                found[grpc] = run(job, begun=lambda begin: begins.update({grpc: begin}))
            except BaseException as error:
                failures.append(error)

        clients = [threading.Thread(target=ask, args=(grpc,)) for grpc in (False, True)]
        for one in clients:
            one.start()
        done = _swapped(begins, failures, seconds, swap, swaps)
        for one in clients:
            one.join()
    if failures:
        raise failures[0]
    parts = [_seen(found[grpc], begins[grpc], grpc) for grpc in (False, True)]
    names = ("sent", "done", "latencies", "versions")
    arrays = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    errors = dict(sum((Counter(part.errors) for part in parts), Counter[str]()))
    return Seen(
        **arrays, errors=errors, late=max(p.late for p in parts), begin=min(begins.values()), swaps=done
    )


def _swapped(
    begins: dict[bool, float],
    failures: list[BaseException],
    seconds: float,
    swap: Swap | None,
    swaps: int,
) -> list[tuple[float, float, int]]:
    done: list[tuple[float, float, int]] = []
    while len(begins) < 2 and not failures:
        time.sleep(0.01)
    if swap is None or failures:
        return done
    every = seconds / (swaps + 1)
    for number in range(swaps):
        due = max(begins.values()) + every * (number + 0.5)
        time.sleep(max(0.0, due - time.monotonic()))
        version = swap.publish()
        asked = time.monotonic()
        swap.trigger(version)
        done.append((asked, time.monotonic(), version))
    return done


def _job(target: Target, folder: Path, grpc: bool, rate: float, seconds: float) -> Job:
    body = folder / ("grpc" if grpc else "http")
    if grpc:
        path = "/inference.GRPCInferenceService/ModelInfer"
        message = pb.ModelInferRequest(model_name=NAME)
        tensor = message.inputs.add(name="x", datatype="FP32", shape=[1, 4])
        tensor.contents.fp32_contents.extend([0.0] * 4)
        body.write_bytes(message.SerializeToString())
    else:
        path = f"/v2/models/{NAME}/infer"
        tensors = [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [0.0] * 4}]
        body.write_bytes(orjson.dumps({"inputs": tensors}))
    return Job(
        target, [(path, {"Content-Type": "application/json"}, str(body))], grpc,
        connections=4 if grpc else CONNECTIONS, streams=CONNECTIONS // 4 if grpc else 1,
        schedule=constant(rate, seconds).arrivals().tolist(), warm_up=2.0, patience=PATIENCE_S,
        keep_every=1,
    )  # fmt: skip


def _seen(outcome: Outcome, begin: float, grpc: bool) -> Seen:
    versions = np.zeros(len(outcome.due), dtype=np.int64)
    # Turns are the places in the schedule, and so in the order of their due times.
    order = np.argsort(outcome.due, kind="stable")
    for turn, body in outcome.kept.items():
        answer = client.decode_grpc(body) if grpc else client.decode_http(body, None)
        versions[order[turn]] = round(float(answer.arrays["y"].flat[0]))
    return Seen(
        outcome.sent + begin, outcome.done + begin, outcome.latencies, versions, outcome.errors,
        float(np.percentile(outcome.late, 99)) * 1000,
    )  # fmt: skip
