"""What must be equal before anything is measured: else the comparison is refused, with reasons."""

import hashlib
import json
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from loadtests.answers import Answers, Different, Refused, get
from loadtests.client.target import Target
from loadtests.compare.cases import Case
from loadtests.compare.sides import Side
from loadtests.servers import COMMANDS, ROOT

# What computes the answers: other versions of these are other models.
COMPUTING = ("torch", "transformers", "tokenizers", "safetensors", "numpy", "onnxruntime")
SERVING = ("ray", "kserve", "uvicorn", "uvloop", "grpcio", "protobuf", "orjson", "fastapi")
_VERSIONS = """
import importlib.metadata, json, platform, sys
found = {"python": platform.python_version()}
for name in sys.argv[1:]:
    try:
        found[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        pass
print(json.dumps(found))
"""


class Incomparable(Exception):
    """The sides differ; the text says in what."""


def versions(side: Side) -> dict[str, str]:
    """Of the packages in the environment that a side's server runs in; {} where it runs elsewhere."""
    if not side.kind:
        return {}
    python, _ = COMMANDS[side.kind]
    path = ROOT / python
    if not path.exists():
        raise Incomparable(f"{side.name} has no environment at {path.parent.parent}: run make compare")
    command = [str(path), "-c", _VERSIONS, *COMPUTING, *SERVING]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, str] = json.loads(done.stdout)
    return found


def same_versions(found: Mapping[str, Mapping[str, str]]) -> None:
    """Incomparable when what computes differs between sides; by side, what `versions` found."""
    problems = []
    for package in ("python", *COMPUTING):
        those = {side: some[package] for side, some in found.items() if package in some}
        if package == "python":
            those = {side: version.rpartition(".")[0] for side, version in those.items()}
        if len(set(those.values())) > 1:
            problems.append(f"{package} is " + ", ".join(f"{v} for {s}" for s, v in those.items()))
    if problems:
        raise Incomparable("the sides compute with different versions: " + "; ".join(problems))


class Checks:
    """Looks at one side after the other and holds each against the first."""

    def __init__(self, cases: Iterable[Case]) -> None:
        self.cases = list(cases)
        self.answers = Answers()
        self._described: dict[str, tuple[str, Any]] = {}

    def look(self, target: Target) -> None:
        """Metadata of every model, and the answer to every request; Incomparable, with the reason."""
        for model in dict.fromkeys(model for case in self.cases for model in case.models):
            try:
                said = get(target, f"/v2/models/{model}")
            except (OSError, Refused, ValueError) as error:
                raise Incomparable(f"{target.name} doesn't describe '{model}': {error}") from None
            first, known = self._described.setdefault(model, (target.name, said))
            _same_tensors(model, first, known, target.name, said)
        for case in self.cases:
            if case.grpc and not target.grpc:
                raise Incomparable(
                    f"{case.name} needs gRPC: give target '{target.name}' a grpc=host:port"
                )
            try:
                self.answers.check(target, case.requests, case.name)
            except Different as error:
                raise Incomparable(str(error)) from None
            except (OSError, Refused) as error:
                raise Incomparable(f"{target.name} doesn't answer {case.name}: {error}") from None

    def passed(self) -> list[str]:
        """What was found equal, in words."""
        found = [f"{model}: inputs and outputs declared alike" for model in self._described]
        for case in self.cases:
            count = len(dict.fromkeys(case.requests))
            requests = "1 request" if count == 1 else f"{count} requests"
            found.append(f"{case.name}: {requests}, answered alike")
        return found


def _same_tensors(
    model: str, one: str, ours: Mapping[str, Any], other: str, theirs: Mapping[str, Any]
) -> None:
    for key in ("inputs", "outputs"):
        mine, yours = (
            {t["name"]: (t["datatype"], _shape(t)) for t in said.get(key) or []}
            for said in (ours, theirs)
        )
        if mine != yours:
            raise Incomparable(
                f"'{model}' is another model on {other}: its {key} are {_words(yours)}, "
                f"those of {one} {_words(mine)}"
            )


def _shape(tensor: Mapping[str, Any]) -> list[int]:
    """As declared; one value per row is [-1, 1] with Triton and [-1] with others."""
    shape = [int(size) for size in tensor["shape"]]
    return shape[:1] if shape == [-1, 1] else shape


def _words(tensors: Mapping[str, Any]) -> str:
    if not tensors:
        return "not declared"
    return ", ".join(f"{name} {kind} {shape}" for name, (kind, shape) in tensors.items())


def weights(config: Mapping[str, Any]) -> dict[str, str]:
    """SHA-256 over the files of every model that has some, by storageUri."""
    uris = sorted(set(_uris(config)))
    return {uri: _digest(ROOT / uri) for uri in uris if (ROOT / uri).is_dir()}


def digest(config: Mapping[str, Any]) -> str:
    """Of what all started sides are given."""
    return hashlib.sha256(yaml.safe_dump(config).encode()).hexdigest()[:16]


def _uris(node: Any) -> Iterable[str]:
    if isinstance(node, dict):
        if isinstance(uri := node.get("storageUri"), str):
            yield uri
        for value in node.values():
            yield from _uris(value)
    elif isinstance(node, list):
        for value in node:
            yield from _uris(value)


def _digest(folder: Path) -> str:
    found = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        found.update(str(file.relative_to(folder)).encode())
        found.update(file.read_bytes())
    return found.hexdigest()[:16]
