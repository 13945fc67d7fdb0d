"""Lines on standard output, for machines to read."""

import json
import time

import psutil

from serve_app.config import ModelConfig, parse
from serve_app.observability.logs import log_loaded, log_request
from serve_app.runtimes.host import Loaded, ModelHost


def test_a_request_is_one_line(capfd) -> None:
    log_request("7", "echo", "1", "OK", 1.23456)
    (line,) = map(json.loads, capfd.readouterr().out.splitlines())
    assert abs(line.pop("time") - time.time()) < 60
    assert line == {"id": "7", "model": "echo", "version": "1", "status": "OK", "ms": 1.235}


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
