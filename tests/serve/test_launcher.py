"""`tandem run`: when it is ready, what it opens, how it ends, what it refuses to start."""

import os
import re
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.serve.configs import python, remote, router, write
from tests.serve.live import ENV, pid_of, title, until
from tests.server import ROOT, START_TIMEOUT_S, Server

Codes = list[tuple[int, int]]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write(tmp_path / "config.yaml", router(python("Pid")), remote("one", "Pid"))


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Codes, Codes]]:
    """A server with models that take long to load, and what was answered meanwhile: whether it and such
    a model were ready, and whether such a model and one before it in the same process were."""
    folder = tmp_path_factory.mktemp("first")
    late = remote("late", "SlowToLoad", options={"seconds": 6})
    slow = python("SlowToLoad", options={"seconds": 6})
    models = router(python("Pid"), python("Broken"), slow), late, remote("one", "Pid")
    server = Server(write(folder / "late.yaml", *models), log=folder / "server.log", env=ENV)
    seen: Codes = []
    alone: Codes = []
    try:
        server.start()
        with server.http() as http:

            def looked() -> bool:
                seen.append((code(http, "/v2/health/ready"), code(http, "/v2/models/late/ready")))
                both = "/v2/models/slowtoload/ready", "/v2/models/pid/ready"
                alone.append((code(http, both[0]), code(http, both[1])))
                return seen[-1][0] == 200

            until(looked, "the server is ready", START_TIMEOUT_S)
        yield server, seen, alone
    finally:
        server.stop()


def code(http: httpx.Client, path: str) -> int:
    """0 until Tandem answers."""
    try:
        answer = http.get(path)
    except httpx.TransportError:
        return 0
    return answer.status_code if answer.content.startswith(b"{") else 0


@pytest.mark.live
def test_a_server_isnt_ready_before_its_models_were_tried(first):
    server, seen, alone = first
    # One was broken, and the other had loaded.
    assert seen[-1] == (200, 200)
    assert (503, 503) in seen
    assert (503, 200) in alone
    with server.http() as http:
        assert code(http, "/v2/models/broken/ready") == 503
        until(lambda: server.text().count("Ctrl-C"), "it says so", START_TIMEOUT_S)
        assert code(http, "/v2/health/ready") == 200


def listeners(server: Server) -> dict[str, str]:
    """Address to process name, for every listening TCP socket of the server's processes."""
    return {f"{address}:{port}": name for address, port, name in server.listening()}


def test_two_instances_side_by_side_on_loopback_until_a_signal(first, config, start_server):
    first = first[0]
    second = start_server(config, "default", env=ENV)
    for server in (first, second):
        with server.http() as client:
            assert pid_of(client, "pid") in [process.pid for process in server.family()]
            assert pid_of(client, "one") in [process.pid for process in server.family()]
        open_to_others = {
            address: name
            for address, name in listeners(server).items()
            if not address.startswith(("127.", "::ffff:127.", "::1:"))
        }
        assert open_to_others == {}
        assert any(address.endswith(f":{server.http_port}") for address in listeners(server))
    assert any("haproxy" in process.name() for process in first.family())
    until(lambda: "ray::IDLE" not in map(title, first.family()), "a worker that nobody uses is gone")
    # Ctrl-C; and one that gives nobody time to clean up.
    for server, number in ((first, signal.SIGINT), (second, signal.SIGKILL)):
        family = server.family()
        folder = Path(re.search(r"Logs, until then: (\S+)/ray/", server.text())[1])
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        before = len(server.text()) if server is first else 0  # of a model of its that can't be loaded
        os.killpg(server.pid, number)
        _, alive = psutil.wait_procs(family, timeout=20)
        assert alive == []
        assert "Traceback" not in server.text()[before:]
        until(lambda folder=folder: not folder.exists(), "its files are gone", 10)


@pytest.mark.long
def test_what_never_comes_is_named_with_the_reason_and_the_others_serve(tmp_path, start_server):
    greedy = [remote(name, "Pid", resources={"num_gpus": 1}) for name in ("greedy", "greedier")]
    config = write(tmp_path / "greedy.yaml", router(python("Pid")), remote("one", "Pid"), *greedy)
    server = start_server(config, env=ENV, settled=False)
    for name in ("greedy", "greedier"):
        said = f"application '{name}' is still DEPLOYING: no room for ModelReplica: a replica asks for"
        until(lambda said=said: said in server.text(), said)  # a busy Serve says so later
    assert '"GPU": 1.0' in server.text()
    with server.http() as client:
        assert pid_of(client, "one")
        assert pid_of(client, "pid")
        assert server.alive


def run_refused(*arguments: str) -> str:
    """`tandem run` that must end by itself, with 2: what it printed on standard error."""
    command = [sys.executable, "-m", "serve_app", "run", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def test_a_wrong_config_is_refused_with_line_and_suggestion(tmp_path):
    """Each start imports Ray: so both mistakes are in one file."""
    models = {**python("Pid"), "maxBatchsize": 3}, {**python("Fussy"), "concurency": 3}
    config = write(tmp_path / "wrong.yaml", router(*models))
    line = next(n for n, text in enumerate(config.read_text().splitlines(), 1) if "maxBatchsize" in text)
    error = run_refused(str(config))
    assert f"wrong.yaml:{line}:" in error
    assert "maxBatchsize" in error
    assert "unknown key" in error
    assert "did you mean concurrency?" in error
    assert "no-such.yaml" in run_refused(str(tmp_path / "no-such.yaml"))


def test_a_taken_port_is_named(config):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        error = run_refused(str(config), "--http-port", str(taken.getsockname()[1]))
    assert "HTTP_PORT" in error
