"""A model that scales to zero stays there, ready, until a request wakes it."""

from pathlib import Path

import psutil
import pytest

from tests.serve.configs import python, remote, router, write
from tests.serve.live import pid_of, processes, until
from tests.server import MODES, Setup

FAST = {
    "min_replicas": 0,
    "max_replicas": 1,
    "look_back_period_s": 1,
    "metrics_interval_s": 0.2,
    "upscale_delay_s": 0,
    "downscale_delay_s": 1,
    "downscale_to_zero_delay_s": 1,
}


def config(folder: Path) -> Path:
    sleepy = remote("sleepy", "Pid", autoscaling={"minReplicas": 0, "maxReplicas": 1})
    # Serve's own keys, for delays that a test can wait for.
    sleepy["deployments"] = [{"name": "ModelReplica", "autoscaling_config": FAST}]
    return write(folder / "scale.yaml", router(python("Pid")), sleepy)


pytestmark = pytest.mark.parametrize(
    "server", [Setup(MODES[0], "scale", config)], indirect=True, ids=str
)


def test_to_zero_and_back(server):
    with server.http() as client:
        until(lambda: client.get("/v2/models/sleepy/ready").status_code == 200, "described")
        first = pid_of(client, "sleepy")
        assert first in awake(server)
        until(lambda: not psutil.pid_exists(first), "scaled to zero")
        # Many looks at Serve's status later (one every 0.2 s) nothing has woken it.
        seen = set()
        for _ in range(20):
            assert client.get("/v2/models/sleepy/ready").status_code == 200
            seen |= awake(server)
            with pytest.raises(psutil.TimeoutExpired):
                psutil.Process(server.pid).wait(timeout=0.2)
        assert seen == set()
        assert pid_of(client, "sleepy") != first


def awake(server) -> set[int]:
    """The processes of the model's replicas."""
    return {one.pid for one in processes(server, "ray::ServeReplica:sleepy")}
