"""Lines on standard output, for machines to read."""

import errno
import json
import os
import sys
import time
from types import SimpleNamespace

import psutil
import pytest

from serve_app.config import ModelConfig, parse
from serve_app.core.dataplane import DataPlane
from serve_app.errors import NotFound
from serve_app.observability.logs import LINES, RequestLog, log_loaded
from serve_app.observability.output import Tee
from serve_app.runtimes.host import ModelHost
from serve_app.runtimes.one_version import Loaded
from tests.unit.planes import UNDECLARED, Echo, call, served, tensor


async def test_a_request_is_one_line(capfd) -> None:
    made = DataPlane(RequestLog())
    served(made, "echo", backend=Echo(), about=UNDECLARED, versions=("1",))
    await made.infer(call(tensor([1]), model="echo", id="7"))
    with pytest.raises(NotFound):
        await made.infer(call(model="none", version="3", id="8"))
    first, second = map(json.loads, capfd.readouterr().out.splitlines())
    for line in (first, second):
        assert abs(line.pop("time") - time.time()) < 60
        assert 0 <= line.pop("ms") < 60_000
    assert first == {"id": "7", "model": "echo", "version": "1", "status": "OK"}
    assert second == {"id": "8", "model": "none", "version": "3", "status": "NotFound"}


async def test_a_request_that_has_another_name_in_its_headers(capfd) -> None:
    made = DataPlane(RequestLog())
    served(made, "echo", backend=Echo(), about=UNDECLARED, versions=("1",))
    for id in ("7", ""):
        asked = call(tensor([1]), model="echo", id=id)
        asked.request_id = "named"
        await made.infer(asked)
    first, second = map(json.loads, capfd.readouterr().out.splitlines())
    assert (first["id"], first["request_id"]) == ("7", "named")
    assert second["id"] == "named"
    assert "request_id" not in second


async def test_what_a_client_chose_is_cut(capfd) -> None:
    made = DataPlane(RequestLog())
    served(made, "echo", backend=Echo(), about=UNDECLARED, versions=("1",))
    long = "x" * 10**6
    await made.infer(call(tensor([1]), model="echo", id=long))
    with pytest.raises(NotFound):
        await made.infer(call(model=long, version=long))
    first, second = map(json.loads, (text := capfd.readouterr().out).splitlines())
    assert first["id"] == second["model"] == second["version"] == "x" * 128 + "... (1000000 characters)"
    assert len(text) < 1000


async def test_lines_that_cannot_be_written_are_counted_and_said(capfd, monkeypatch) -> None:
    made = DataPlane(RequestLog())
    served(made, "echo", backend=Echo(), about=UNDECLARED, versions=("1",))
    write, full = os.write, True

    def on_a_full_disk(descriptor, data):
        if full and descriptor == 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", on_a_full_disk)
    for _ in range(3):
        await made.infer(call(tensor([1]), model="echo"))  # fails no request
    full = False
    await made.infer(call(tensor([1]), model="echo", id="7"))
    said, line = map(json.loads, capfd.readouterr().out.splitlines())
    assert (said["event"], said["lines"], line["id"]) == ("dropped", 3, "7")
    assert (LINES.take(), LINES.take()) == (3, 0)


def test_what_a_model_prints_without_an_end_doesnt_spoil_a_line(capfd, monkeypatch) -> None:
    with open(1, "w", buffering=1, closefd=False) as stream:
        monkeypatch.setattr(sys, "stdout", Tee(stream, "stdout", SimpleNamespace(write=lambda _: None)))
        print("working ...", end="", flush=True)
        LINES.write({"id": "1"})
        LINES.write({"id": "2"})
        print(" done")
    assert capfd.readouterr().out.splitlines() == ["working ...", '{"id":"1"}', '{"id":"2"}', " done"]


def test_a_loaded_model_is_a_line_per_version(capfd) -> None:
    log_loaded("digits", [Loaded("1", 100.0, 0.5, 0.25), Loaded("2", 101.0, 0.4, 0)])
    first, second = map(json.loads, capfd.readouterr().out.splitlines())
    assert (first["event"], first["model"], first["version"]) == ("loaded", "digits", "1")
    assert (first["began"], first["load_s"], first["warm_up_s"]) == (100.0, 0.5, 0.25)
    assert abs(first["process_began"] - psutil.Process().create_time()) < 1
    assert (second["version"], second["load_s"], second["warm_up_s"]) == ("2", 0.4, 0)


def test_a_host_tells_how_long_loading_took() -> None:
    spec = {
        "name": "slow",
        "modelFormat": "python",
        "class": "tests.unit.observability.slow:Slow",
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1]}],
    }
    before = time.time()
    host = ModelHost(parse(ModelConfig, spec))
    try:
        (loaded,) = host.load()
    finally:
        host.close()
    assert loaded.version == "1"
    assert before - 0.1 <= loaded.began <= time.time()
    assert loaded.load >= 0.2
    assert loaded.warm_up >= 0.1
