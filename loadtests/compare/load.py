"""One stretch of load: arrivals or a closed loop against one target, as a Run."""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson

from loadtests.answers import Answer, Answers, Refused, decoded, differing
from loadtests.arrivals import Kind, Profile, constant
from loadtests.client.job import Job, Outcome
from loadtests.client.run import run
from loadtests.client.target import Target
from loadtests.compare.cases import CONNECTIONS, Case
from loadtests.compare.results import Run
from loadtests.requests import Request
from loadtests.servers import Server

_CHECKED = 200  # answers of a run, at most, that are compared with the known ones
_STREAMS = 16  # calls in flight on one gRPC connection


@dataclass(frozen=True)
class Load:
    """What to send. Without a profile it is a closed loop over `connections` for `seconds`."""

    part: str
    case: Case
    round: int
    seconds: float
    profile: Profile | None = None
    rate: float = 0  # of the profile, for the record
    connections: int = CONNECTIONS
    warm_up: float = 1
    arrivals: str = "poisson"
    every_version: bool = False  # keep every answer, for the version that it names
    patience: float = 30
    processes: int = 1
    seed: int = 7


def measure(
    load: Load,
    target: Target,
    server: Server | None,
    answers: Answers,
    begun: Callable[[float], None] = lambda begin: None,
) -> Run:
    """Send it; ClientError when the client itself fails. `begun` is `client.run`'s."""
    case = load.case
    schedule = _schedule(load)
    expected = len(schedule) if schedule else 2000 * load.seconds
    keep = 1 if load.every_version else max(1, round(expected / _CHECKED))
    with tempfile.TemporaryDirectory(prefix="tandem-compare-") as folder:
        files = []
        for index, request in enumerate(case.requests):
            file = Path(folder) / str(index)
            file.write_bytes(request.body)
            files.append((request.path, request.headers, str(file)))
        streams = _STREAMS if case.grpc and load.profile else 1
        job = Job(
            target,
            files,
            case.grpc,
            max(1, load.connections // streams),
            seconds=load.seconds,
            warm_up=load.warm_up,
            schedule=schedule,
            streams=streams,
            patience=load.patience,
            keep_every=keep,
        )
        before: list[float] = []  # the server's CPU, and when: not while the client starts

        def ready(begin: float) -> None:
            before.extend((server.cpu() if server else 0, time.monotonic()))
            begun(begin)

        outcome = run(job, load.processes, ready)
    cpu, started = before
    made = _run(load, target.name, outcome, answers, schedule)
    made.server_wall = time.monotonic() - started
    if server and server.alive:
        made.server_cpu, made.memory = server.cpu() - cpu, server.memory()
    return made


def _schedule(load: Load) -> list[float]:
    """The warm-up's arrivals, before 0, and the profile's."""
    if load.profile is None:
        return []
    kind: Kind = "constant" if load.arrivals == "constant" else "poisson"
    times = load.profile.arrivals(kind, load.seed * 1000 + load.round)
    before = np.zeros(0)
    if load.warm_up and (first := load.profile.at(0)) > 0:
        before = constant(first, load.warm_up).arrivals(kind, load.seed) - load.warm_up
    schedule: list[float] = np.concatenate([before, times]).tolist()
    return schedule


def _run(load: Load, side: str, outcome: Outcome, answers: Answers, schedule: list[float]) -> Run:
    order = np.argsort(outcome.due, kind="stable")
    latency = np.where(outcome.failed, -1, np.round(outcome.latencies * 1e6))[order]
    requests = load.case.requests
    wrong = sum(
        _wrong(requests[turn % len(requests)], body, answers) for turn, body in outcome.kept.items()
    )
    versions = (
        [(round(schedule[turn] * 1e6), _version(body)) for turn, body in sorted(outcome.kept.items())]
        if load.every_version
        else []
    )
    return Run(
        part=load.part,
        case=load.case.name,
        side=side,
        round=load.round,
        rate=load.rate,
        seconds=load.seconds,
        due_us=_whole(outcome.due[order] * 1e6),
        latency_us=_whole(latency),
        late_us=_whole(outcome.late * 1e6),
        errors=outcome.errors,
        checked=0 if load.every_version else len(outcome.kept),
        wrong=0 if load.every_version else wrong,
        client_cpu=outcome.cpu / outcome.wall,
        versions=versions,
    )


def _whole(values: np.ndarray) -> list[int]:
    found: list[int] = np.nan_to_num(np.round(values), posinf=-1).astype(np.int64).tolist()
    return found


def _wrong(request: Request, body: bytes, answers: Answers) -> bool:
    """Whether an answer under load is another one than before it."""
    known: Answer | None = answers.known(request)
    if known is None:
        return False
    try:
        return bool(differing(known, decoded(request, body)))
    except Refused:
        return True


def _version(body: bytes) -> str:
    """The version that a JSON answer names."""
    try:
        return str(orjson.loads(body)["model_version"])
    except (ValueError, KeyError, TypeError):
        return "?"
