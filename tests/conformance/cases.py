"""What the real clients send, and what must come back.

A case is left out for a client that can't do it:
- tritonclient.http sends no BF16 as JSON; BF16 goes in binary and comes back as JSON.
- kserve knows no BF16 and no FP16 over JSON; its REST side reads BYTES as UTF-8 and NaN not at all
  (orjson), has no compression and no way to a version; typed contents have no FP16.
- tritonclient.grpc sends raw contents alone; typed ones are kserve's.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tests.conformance import golden
from tests.conformance.clients.driver import DTYPES, pack
from tests.conformance.values import SHAPES, tensor

TRITON = ("triton_http", "triton_http_aio", "triton_grpc", "triton_grpc_aio")
TRITON_HTTP, TRITON_GRPC = TRITON[:2], TRITON[2:]
KSERVE = ("kserve_rest", "kserve_grpc")
CLIENTS = (*TRITON, *KSERVE)
HTTP = (*TRITON_HTTP, "kserve_rest")
GRPC = (*TRITON_GRPC, "kserve_grpc")

Arrays = dict[str, np.ndarray]


@dataclass
class Case:
    """`send` is what the client's script reads; the rest is what the test compares with."""

    name: str
    send: dict[str, Any]
    expected: Callable[[], Arrays] | None = None
    tolerance: float = 0.0
    error: tuple[str, ...] = ()  # HTTP status, gRPC code, then words of the message
    reply: dict[str, Any] = field(default_factory=dict)  # id, model_name, model_version

    def __post_init__(self) -> None:
        self.send["name"] = self.name


def infer(model: str, arrays: Arrays, **options: Any) -> dict[str, Any]:
    """An inference to send."""
    inputs = [pack(name, array) for name, array in arrays.items()]
    return {"call": "infer", "model": model, "inputs": inputs, **options}


def cases(client: str) -> list[Case]:
    """Every inference that `client` sends."""
    return [*_identity(client), *_requests(client), *_models(client), *_errors(client)]


def _forms(client: str) -> dict[str, dict[str, Any]]:
    """The ways in which a client can send and get tensors."""
    if client == "kserve_grpc":
        return {"raw": {}, "typed": {"typed": True}}
    if client in GRPC:
        return {"raw": {}}
    in_json: dict[str, Any] = {"binary_in": False, "binary_out": False}
    if client in TRITON_HTTP:  # which asks for binary when it lists no outputs
        in_json["outputs"] = ["x"]
    return {"binary": {"binary_in": True, "binary_out": True}, "json": in_json}


def _identity(client: str) -> Iterator[Case]:
    for form, options in _forms(client).items():
        for datatype in DTYPES:
            wire = dict(options)
            if datatype == "BF16":
                if client in KSERVE:
                    continue
                if form == "json":
                    wire["binary_in"] = True
            if datatype == "FP16" and client in KSERVE and form != "binary" and form != "raw":
                continue
            for shape in SHAPES:
                utf8 = form == "json" or client == "kserve_rest"
                finite = form == "json" and client == "kserve_rest"
                array = tensor(datatype, shape, finite=finite, utf8=utf8)
                name = f"identity-{form}-{datatype}-{'x'.join(map(str, shape)) or 'scalar'}"
                yield Case(
                    name, infer("identity", {"x": array}, **wire), lambda array=array: {"x": array}
                )
    if client != "kserve_rest":  # which makes a list of every number it gets
        large = np.random.default_rng(0).standard_normal((5, 2**20)).astype(np.float32)
        yield Case("large", infer("identity", {"x": large}), lambda: {"x": large})


def _requests(client: str) -> Iterator[Case]:
    """Ids, parameters, several tensors, output filters, compression, streams."""
    several = {
        "a": tensor("FP32", (2, 3), finite=client == "kserve_rest"),
        "b": tensor("BYTES", (3,), utf8=True),
        "c": tensor("UINT8", (0,)),
        "d": tensor("BOOL", (2, 2, 2)),
    }
    one = {"x": tensor("INT32", (3,))}
    said = {"id": "request 7", "model_name": "identity"}
    if client != "kserve_rest":  # its answers drop the version
        said["model_version"] = "1"
    yield Case("several-tensors", infer("identity", several), lambda: several)
    yield Case("id-echoed", infer("identity", one, id="request 7"), lambda: one, reply=said)
    yield Case("id-generated", infer("identity", one), lambda: one, reply={"model_name": "identity"})
    extra = {"word": "x", "flag": True, "count": 7}
    yield Case("parameters", infer("identity", one, parameters=extra), lambda: one)
    picked = {name: several[name] for name in ("d", "b")}
    for form, options in _forms(client).items():
        if "typed" not in options:
            send = infer("identity", several, **{**options, "outputs": list(picked)})
            yield Case(f"filtered-{form}", send, lambda: picked)
    if client in TRITON:
        weighty = {"x": tensor("INT64", (64, 64))}
        for coding in ("gzip", "deflate"):
            yield Case(f"{coding}-in", infer("identity", weighty, compress_in=coding), lambda: weighty)
        if client in TRITON_HTTP:
            for coding in ("gzip", "deflate"):
                send = infer("identity", weighty, compress_in=coding, compress_out=coding)
                yield Case(f"{coding}-both", send, lambda: weighty)
                yield Case(f"{coding}-out", infer("identity", one, compress_out=coding), lambda: one)
    if client in ("triton_http", "triton_grpc"):
        yield Case("async-infer", {**infer("identity", one), "call": "async_infer"}, lambda: one)


def _models(client: str) -> Iterator[Case]:
    """Every demo model against the golden answers."""
    pixels = golden.held_out()[0]
    versions = ("", "1", "2") if client != "kserve_rest" else ("",)
    for version in versions:
        for rows in (0, 1, 7, 450):
            part = pixels[:rows]
            reply = {"model_name": "digits"}
            if client != "kserve_rest":
                reply["model_version"] = version or "2"
            yield Case(
                f"digits-{version or 'default'}-{rows}",
                infer("digits", {"pixels": part}, version=version),
                lambda part=part, version=version: golden.digits(part, version or "2"),
                tolerance=1e-4,
                reply=reply,
            )
    send = infer("digits", {"pixels": pixels[:5]}, outputs=["label"])
    yield Case("digits-label-alone", send, lambda: {"label": golden.digits(pixels[:5], "2")["label"]})
    send = infer("digits-onnx", {"pixels": pixels})
    yield Case("digits-onnx", send, lambda: golden.digits(pixels, "2"), tolerance=1e-4)
    texts = golden.SENTENCES
    for name, chosen in {
        "all": texts,
        "one": texts[2:3],
        "empty-text": texts[1:2],
        "forty": texts * 5,
    }.items():
        send = infer("sentences", {"text": golden.text_tensor(chosen)})
        yield Case(
            f"sentences-{name}", send, lambda chosen=chosen: golden.sentences(chosen), tolerance=1e-4
        )


def _errors(client: str) -> Iterator[Case]:
    """A client's faults. The words are those that a user needs: what, expected, got."""
    pixels = golden.held_out()[0][:2]
    one = {"x": tensor("INT32", (3,))}
    invalid = ("400", "StatusCode.INVALID_ARGUMENT")
    missing = ("404", "StatusCode.NOT_FOUND")
    for name, send, error in (
        ("unknown-model", infer("nobody", one), (*missing, "nobody")),
        (
            "wrong-datatype",
            infer("digits", {"pixels": pixels.astype(np.float64)}),
            (*invalid, "pixels", "FP32", "FP64"),
        ),
        (
            "wrong-shape",
            infer("digits", {"pixels": pixels[:, :63].copy()}),
            (*invalid, "pixels", "64", "63"),
        ),
        ("wrong-rank", infer("digits", {"pixels": pixels[0]}), (*invalid, "pixels", "[-1, 64]", "[64]")),
        ("wrong-name", infer("digits", {"pixel": pixels}), (*invalid, "pixels")),
        ("surplus-tensor", infer("digits", {"pixels": pixels, **one}), (*invalid, "'x'", "pixels")),
        ("no-tensor", infer("digits", {}), (*invalid, "pixels")),
        (
            "unknown-output",
            infer("digits", {"pixels": pixels}, outputs=["odds"]),
            (*invalid, "odds", "label"),
        ),
        ("output-of-identity", infer("identity", one, outputs=["y"]), (*invalid, "y", "x")),
    ):
        yield Case(f"error-{name}", send, error=error)
    if client != "kserve_rest":
        send = infer("digits", {"pixels": pixels}, version="9")
        yield Case("error-unknown-version", send, error=(*missing, "digits", "9"))
    if client in KSERVE or client in TRITON_GRPC:
        send = infer("sentences", {"text": tensor("BYTES", (2, 2), utf8=True)})
        yield Case("error-remote-shape", send, error=(*invalid, "text", "[2, 2]"))
