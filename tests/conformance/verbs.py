"""The clients' own methods beside `infer`, and streams; each with a check of what it came to."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.conformance import golden
from tests.conformance.cases import TRITON, TRITON_GRPC, infer
from tests.conformance.clients.driver import unpack
from tests.conformance.values import same, tensor

Result = dict[str, Any]
Check = Callable[[Result], None]
Calls = dict[str, tuple[dict[str, Any], Check]]

VERSIONS = {"identity": ["1"], "digits": ["1", "2"], "digits-onnx": ["1"], "sentences": ["1"]}


def calls(client: str) -> Calls:
    """name -> what to call, and the check of its result."""
    found: Calls = {"live": ({"call": "live"}, _is(True)), "ready": ({"call": "ready"}, _is(True))}
    for model in VERSIONS:
        found[f"ready-{model}"] = ({"call": "model_ready", "model": model}, _is(True))
    # Over HTTP the clients turn any status but 200 into False; over gRPC they would raise.
    found["ready-unknown"] = ({"call": "model_ready", "model": "nobody"}, _is(False))
    if client in TRITON:
        found |= _triton(client)
    if client in TRITON_GRPC:
        found |= _streams()
    if client == "kserve_rest":
        found |= _v1()
    return found


def _triton(client: str) -> Calls:
    no_version = _fails("404", "StatusCode.NOT_FOUND", "digits", "9")
    unsupported = _fails("501", "StatusCode.UNIMPLEMENTED")
    found: Calls = {
        "ready-version": ({"call": "model_ready", "model": "digits", "version": "1"}, _is(True)),
        "ready-no-version": (
            {"call": "model_ready", "model": "digits", "version": "9"},
            _is(False),
        ),
        "server-metadata": ({"call": "server_metadata"}, _server),
        "metadata-digits": ({"call": "model_metadata", "model": "digits"}, _digits),
        "metadata-digits-1": ({"call": "model_metadata", "model": "digits", "version": "1"}, _digits),
        "metadata-sentences": ({"call": "model_metadata", "model": "sentences"}, _sentences),
        "metadata-unknown": (
            {"call": "model_metadata", "model": "nobody"},
            _fails("404", "StatusCode.NOT_FOUND", "nobody"),
        ),
        "metadata-no-version": (
            {"call": "model_metadata", "model": "digits", "version": "9"},
            no_version,
        ),
        "config-digits": ({"call": "model_config", "model": "digits"}, _config),
        "config-digits-1": ({"call": "model_config", "model": "digits", "version": "1"}, _config),
        "config-no-version": ({"call": "model_config", "model": "digits", "version": "9"}, no_version),
        "statistics-all": ({"call": "statistics"}, _statistics(VERSIONS)),
        "statistics-model": (
            {"call": "statistics", "model": "digits"},
            _statistics({"digits": ["1", "2"]}),
        ),
        "statistics-version": (
            {"call": "statistics", "model": "digits", "version": "1"},
            _statistics({"digits": ["1"]}),
        ),
        "statistics-no-version": ({"call": "statistics", "model": "digits", "version": "9"}, no_version),
        "index": ({"call": "repository_index"}, _index),
        "classes": _classes(),
        "load": ({"call": "load", "model": "digits"}, unsupported),
        "unload": ({"call": "unload", "model": "digits"}, unsupported),
        "shared-memory": ({"call": "register_shared_memory"}, unsupported),
        "trace-settings": ({"call": "trace_settings"}, unsupported),
    }
    return found


def _classes() -> tuple[dict[str, Any], Check]:
    """The two likeliest digits of each picture, as `value:index`."""
    pixels = golden.held_out()[0][:3]
    odds = golden.digits(pixels, "2")["probabilities"]

    def check(result: Result) -> None:
        (output,) = result["value"]["outputs"]
        found = unpack(output)
        assert found.shape == (3, 2)
        for row, best in zip(odds, found, strict=True):
            for one, index in zip(best, np.argsort(row)[::-1], strict=False):
                value, _, at = bytes(one).decode().partition(":")
                assert at == str(index)
                assert abs(float(value) - row[index]) < 1e-4

    return infer("digits", {"pixels": pixels}, outputs=["probabilities"], classes=2), check


def _streams() -> Calls:
    """Twelve requests to three models in one stream, every fourth of them wrong."""
    pixels = golden.held_out()[0]
    requests = []
    for index in range(12):
        rows = pixels[index : index + 1 + index % 3]
        kind = index % 4
        if kind == 0:
            requests.append(infer("identity", {"x": tensor("BYTES", (index,))}, id=str(index)))
        elif kind == 1:
            requests.append(infer("digits", {"pixels": rows}, version="1", id=str(index)))
        elif kind == 2:
            requests.append(infer("nobody", {"pixels": rows}, id=str(index)))
        else:
            requests.append(infer("digits-onnx", {"pixels": rows}, id=str(index)))

    def check(result: Result) -> None:
        answers = result["value"]
        assert len(answers) == len(requests)
        for index, answer in enumerate(answers):
            rows = pixels[index : index + 1 + index % 3]
            if index % 4 == 2:
                assert "nobody" in answer["error"]
                continue
            assert answer["id"] == str(index)
            outputs = {output["name"]: unpack(output) for output in answer["outputs"]}
            if index % 4 == 0:
                same(outputs["x"], tensor("BYTES", (index,)))
            else:
                expected = golden.digits(rows, "1" if index % 4 == 1 else "2")
                same(outputs["label"], expected["label"])
                np.testing.assert_allclose(
                    outputs["probabilities"], expected["probabilities"], atol=1e-4
                )

    return {"stream": ({"call": "stream", "requests": requests}, check)}


def _v1() -> Calls:
    """kserve's own V1 client."""
    pixels = golden.held_out()[0][:3]
    expected = golden.digits(pixels, "2")

    def by_row(result: Result) -> None:
        rows = result["value"]["predictions"]
        assert [row["label"] for row in rows] == expected["label"].tolist()
        odds = np.array([row["probabilities"] for row in rows])
        np.testing.assert_allclose(odds, expected["probabilities"], atol=1e-4)

    def event(result: Result) -> None:
        value = result["value"]
        assert value["source"] == "io.kserve.inference.digits"
        assert value["type"] == "io.kserve.inference.response"
        by_row({"value": value["data"]})

    body = {"instances": pixels.tolist()}
    events = {"call": "v1_event", "model": "digits", "body": body}
    wrong = {"instances": pixels[:, :5].tolist()}
    return {
        "v1-ready": ({"call": "model_ready", "model": "digits", "v1": True}, _is(True)),
        "v1-ready-unknown": (
            {"call": "model_ready", "model": "nobody", "v1": True},
            _fails("404", "", "nobody"),
        ),
        "v1-predict": ({"call": "v1", "model": "digits", "body": body}, by_row),
        "v1-live": ({"call": "live", "v1": True}, _is(True)),
        "v1-inputs": ({"call": "v1", "model": "digits", "body": {"inputs": pixels.tolist()}}, by_row),
        "v1-event-binary": ({**events, "structured": False}, event),
        "v1-event-structured": ({**events, "structured": True}, event),
        "v1-no-rows": (
            {"call": "v1", "model": "digits", "body": {"instances": []}},
            _is({"predictions": []}),
        ),
        "v1-unknown": ({"call": "v1", "model": "nobody", "body": body}, _fails("404", "", "nobody")),
        "v1-wrong": (
            {"call": "v1", "model": "digits", "body": wrong},
            _fails("400", "", "pixels", "64", "5"),
        ),
        "v1-explain": (
            {"call": "v1_explain", "model": "digits", "body": body},
            _fails("501", "", "explain"),
        ),
    }


def _is(expected: object) -> Check:
    def check(result: Result) -> None:
        assert result == {"value": expected}

    return check


def _fails(http: str, grpc: str, *words: str) -> Check:
    def check(result: Result) -> None:
        assert "error" in result, result
        assert result["error"]["status"] in (http, grpc)
        for word in words:
            assert word in result["error"]["message"]

    return check


def _server(result: Result) -> None:
    value = result["value"]
    assert value["name"] == "tandem"
    assert value["version"]
    assert {"binary_tensor_data", "model_configuration", "statistics"} <= set(value["extensions"])


def _tensors(entries: list[Result]) -> dict[str, tuple[str, list[int]]]:
    # 64-bit integers are strings in protobuf's JSON.
    return {
        entry["name"]: (entry["datatype"], [int(size) for size in entry["shape"]]) for entry in entries
    }


def _digits(result: Result) -> None:
    value = result["value"]
    assert value["name"] == "digits"
    assert value["versions"] == ["1", "2"]
    assert value["platform"]
    assert _tensors(value["inputs"]) == {"pixels": ("FP32", [-1, 64])}
    assert _tensors(value["outputs"]) == {"probabilities": ("FP32", [-1, 10]), "label": ("INT64", [-1])}


def _sentences(result: Result) -> None:
    value = result["value"]
    # One text per row, as Triton says it; it is taken as [-1] too, which other cases send.
    assert _tensors(value["inputs"]) == {"text": ("BYTES", [-1, 1])}
    assert _tensors(value["outputs"]) == {"embedding": ("FP32", [-1, 384])}


def _config(result: Result) -> None:
    config = result["value"].get("config", result["value"])  # gRPC wraps it
    assert config["name"] == "digits"
    assert config["max_batch_size"] == 64
    [entry] = config["input"]
    assert (entry["name"], entry["data_type"], [int(size) for size in entry["dims"]]) == (
        "pixels",
        "TYPE_FP32",
        [64],
    )
    assert [entry["data_type"] for entry in config["output"]] == ["TYPE_FP32", "TYPE_INT64"]


def _statistics(versions: dict[str, list[str]]) -> Check:
    def check(result: Result) -> None:
        rows = result["value"]["model_stats"]
        found = sorted((row["name"], row["version"]) for row in rows)
        assert found == sorted(
            (name, number) for name, numbers in versions.items() for number in numbers
        )
        for row in rows:  # every case of this client went before
            assert int(row["inference_count"]) >= int(row["execution_count"]) > 0
            stats = row["inference_stats"]
            assert int(stats["success"]["count"]) > 0
            # What perf_analyzer demands of its report.
            parts = {int(stats[f"compute_{part}"]["count"]) for part in ("input", "infer", "output")}
            assert len(parts) == 1
            assert parts != {0}

    return check


def _index(result: Result) -> None:
    value = result["value"]
    rows = value["models"] if isinstance(value, dict) else value
    found = {(row["name"], row["version"]): row["state"] for row in rows}
    assert found == {(name, number): "READY" for name, numbers in VERSIONS.items() for number in numbers}
