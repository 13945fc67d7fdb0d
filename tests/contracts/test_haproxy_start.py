"""Serve's own code starts, reloads and stops HAProxy by our wrapper, which takes over from others."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from serve_app.internals import haproxy_start
from serve_app.internals.haproxy import haproxy_wrapper
from serve_app.internals.haproxy_watch import answering
from serve_app.ports import free_port

# In a process of its own, as Serve's manager is: the HAProxy of a manager that lives would be back.
SERVE = """
import asyncio, json, os, sys
from ray.serve._private import haproxy
from ray.serve.config import HTTPOptions
folder, wrapper, *ports = sys.argv[1:]
haproxy.get_haproxy_binary = lambda: wrapper
config = haproxy.HAProxyConfig(
    http_options=HTTPOptions(port=int(ports[0])), socket_path=f"{folder}/admin.sock",
    server_state_base=folder, server_state_file=f"{folder}/state", metrics_enabled=False,
    metrics_port=int(ports[1]), stats_port=int(ports[2]), maxconn=1000, nbthread=1, is_head=True,
)
async def main():
    api, pids = haproxy.HAProxyApi(config, config_file_path=f"{folder}/haproxy.cfg"), []
    await api.start()
    pids.append(api._proc.pid)
    for _ in range(2):
        await api.reload()
        pids.append(api._proc.pid)
    print(json.dumps([pids, [api._is_our_haproxy(pid) for pid in pids[-1:]], await api.is_running(),
                      api.count_haproxy_processes() <= 3]), flush=True)
    await api.stop()
    os._exit(0)  # as one whom Serve kills
asyncio.run(main())
"""


@pytest.fixture
def raylet():
    """In the place of Ray's node."""
    running = subprocess.Popen(["sleep", "600"])
    yield str(running.pid)
    running.kill()
    running.wait()


def test_serve_starts_reloads_and_stops_it(tmp_path, raylet):
    ports = [str(free_port()) for _ in range(3)]
    given = [str(tmp_path), str(haproxy_wrapper(tmp_path)), *ports]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SERVE, *given],
        env={**os.environ, "RAY_RAYLET_PID": raylet}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    pids, ours, running, counted = json.loads(done.stdout.splitlines()[-1])
    assert len(set(pids)) == 3
    assert (ours, running, counted) == ([True], True, True)
    for _ in range(50):  # on a busy machine it takes an accident for what it wasn't, for a moment
        if not answering(str(tmp_path / "admin.sock")):
            break
        time.sleep(0.1)
    assert answering(str(tmp_path / "admin.sock")) == 0
    assert haproxy_start.living(haproxy_start.__file__, tmp_path / "haproxy.cfg") == []


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "haproxy.cfg"
    made.write_text("global\n    stats socket /tmp/s mode 666\nbackend http-tandem\n")
    return made


def arguments(monkeypatch, file: Path, given: str, before: list[int], heard: bool) -> str:
    monkeypatch.setattr(haproxy_start, "living", lambda binary, file: before)
    monkeypatch.setattr(haproxy_start, "answers", lambda where: heard and where == "/tmp/s")
    return " ".join(haproxy_start.taken_over("haproxy", file, given.split()))


@pytest.mark.parametrize(
    ("given", "before", "heard", "wanted"),
    [
        ("-db -f F -dR", [], False, "-db -f F -dR"),
        ("-db -f F -dR", [7], True, "-db -f F -dR -x /tmp/s -sf 7"),
        ("-db -f F -dR", [7], False, "-db -f F -dR -sf 7"),
        ("-db -f F -dR -sf 5 6 -x /tmp/s", [5, 9], True, "-db -f F -dR -x /tmp/s -sf 5 9"),
        ("-db -f F -dR -sf 5 -x /tmp/s", [], False, "-db -f F -dR"),
    ],
    ids=["the first", "after a manager", "one that hears nothing", "a reload", "of one that died"],
)
def test_who_is_followed(monkeypatch, file, given, before, heard, wanted):
    assert arguments(monkeypatch, file, given, before, heard) == wanted


@pytest.mark.parametrize("given", ["-db -f F", "-db -f F -sf 7"])
def test_a_new_manager_goes_on_with_what_was_served(monkeypatch, file, given):
    """Serve's own reload says what it means, even without a route."""
    served = file.with_name("haproxy.cfg.served")
    served.write_text(file.read_text() + "# before\n")
    file.write_text("global\n    stats socket /tmp/s mode 666\n")
    arguments(monkeypatch, file, given, [7], True)
    assert ("# before" in file.read_text()) is ("-sf" not in given)


def test_what_has_routes_stays(monkeypatch, file):
    file.with_name("haproxy.cfg.served").write_text(file.read_text() + "# before\n")
    arguments(monkeypatch, file, "-db -f F", [7], True)
    assert "# before" not in file.read_text()
