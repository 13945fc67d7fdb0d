"""A server that starts with a model that takes long to load."""

from pathlib import Path

import httpx
import pytest

from tests.serve.configs import python, remote, router, write
from tests.serve.live import until
from tests.server import MODES, START_TIMEOUT_S, Server

pytestmark = pytest.mark.live


@pytest.mark.parametrize("mode", MODES[:1])
def test_a_server_isnt_ready_before_its_models_were_tried(tmp_path: Path, mode: str) -> None:
    late = remote("late", "SlowToLoad", options={"seconds": 6})
    slow = python("SlowToLoad", options={"seconds": 6})
    config = write(tmp_path / "late.yaml", router(python("Pid"), python("Broken"), slow), late)
    server = Server(config, mode, log=tmp_path / "server.log")
    seen: list[tuple[int, int]] = []  # the server's, the model's
    alone: list[tuple[int, int]] = []  # of a model that loads, and of one before it in the same process
    try:
        server.start()
        with server.http() as http:

            def code(path: str) -> int:
                try:
                    answer = http.get(path)
                except httpx.TransportError:
                    return 0
                return answer.status_code if answer.content.startswith(b"{") else 0

            def looked() -> bool:
                ready = code("/v2/health/ready")
                seen.append((ready, code("/v2/models/late/ready")))
                alone.append((code("/v2/models/slowtoload/ready"), code("/v2/models/pid/ready")))
                return ready == 200

            until(looked, "the server is ready", START_TIMEOUT_S)
            # One was broken, and the other had loaded.
            assert seen[-1] == (200, 200)
            assert (503, 503) in seen
            assert (503, 200) in alone
            assert code("/v2/models/broken/ready") == 503
            until(lambda: server.text().count("Ctrl-C"), "it says so", START_TIMEOUT_S)
            assert code("/v2/health/ready") == 200
    finally:
        server.stop()
    assert server.leftovers == []
