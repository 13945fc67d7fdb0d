"""What a model says of itself. Plain data: it crosses actors and feeds both wire forms."""

import re
from dataclasses import dataclass, field
from typing import Any

from serve_app.protocol.tables import Table
from serve_app.protocol.tensors import TensorSpec

# The name of an adapter's folder: no way out of the bucket's path, or of the disk's.
_FOLDER = re.compile(r"\w[\w.-]*(:\w[\w.-]*)*", re.ASCII)


@dataclass(slots=True)
class VersionDescription:
    """One version. Empty `inputs` or `outputs` mean undeclared: anything goes.

    `properties`: what else its metadata says over HTTP, such as the checksum of fetched files. `table`:
    it takes rows of columns, in whichever form they come (serve_app.core.tables). `passes`: another
    server holds requests against what it takes, and answers what is asked for. `literal`: its BYTES are
    values as Python writes them, which V1 answers as values.
    """

    inputs: list[TensorSpec]
    outputs: list[TensorSpec]
    properties: dict[str, str] = field(default_factory=dict)
    table: Table | None = None
    passes: bool = False
    literal: bool = False


@dataclass(slots=True)
class EngineDescription:
    """What an LLM's engine says of itself. `names`: the model's, and those of its LoRA adapters."""

    names: list[str]
    created: int
    context: int  # tokens of prompt and answer together
    tasks: list[str]
    parameters: list[str]  # of a request for a completion
    open_ended: bool = False  # adapters `name:folder` are looked for when they are asked for

    def loads(self, name: object) -> bool:
        """Whether `name` is one that a replica looks for in the bucket of its adapters."""
        if not self.open_ended or not isinstance(name, str):
            return False
        model, _, folder = name.partition(":")
        return model == self.names[0] and _FOLDER.fullmatch(folder) is not None


@dataclass(slots=True)
class ModelDescription:
    """A model that is loaded: `versions` by name, oldest first; by the word of a `replica`, if any.

    `refused` says why what it was to become last isn't served, and what it was before is; `loaded`, by
    the deploy of which time its files were last loaded anew, 0 where they are as they were at its start;
    `failed`, which versions couldn't be loaded, and why; `again`: in how many seconds what of that
    failed for now is tried again, 0 for nothing.
    """

    name: str
    platform: str
    versions: dict[str, VersionDescription]
    max_batch_size: int = 0  # 0: requests are never coalesced
    max_latency: float = 0  # milliseconds
    in_flight: int = 1  # batches that one replica may hold
    piece: int = 0  # rows at a time of a request that needn't run whole; 0: none is taken apart
    engine: EngineDescription | None = None
    refused: str = ""
    loaded: float = 0.0
    replica: str = ""
    failed: dict[str, str] = field(default_factory=dict)
    again: float = 0.0


@dataclass(slots=True)
class Duration:
    """How often and how long (nanoseconds in all)."""

    count: int = 0
    ns: int = 0

    def add(self, ns: int, count: int = 1) -> None:
        """Add `count` events that took `ns` together."""
        self.count += count
        self.ns += ns


@dataclass(slots=True)
class Compute:
    """Executions, by what they spent their time on. Their counts are equal: clients rely on it."""

    input: Duration = field(default_factory=Duration)
    infer: Duration = field(default_factory=Duration)
    output: Duration = field(default_factory=Duration)

    def add(self, before: int, ns: int, after: int, count: int = 1) -> None:
        """Add `count` events, each of which took so long for each of the three."""
        one, two, three = self.input, self.infer, self.output  # written out: each request comes by
        one.count += count
        one.ns += before * count
        two.count += count
        two.ns += ns * count
        three.count += count
        three.ns += after * count


@dataclass(slots=True)
class Statistics:
    """One version's counters since this Router replica started.

    `success` and `fail` are of requests, from the first byte that is decoded to the last that is
    encoded. `compute` is of requests too: those that ran together took the time of all, each, and
    what was spent on one alone (decoding, validation, encoding) comes on top. `batches` is of
    executions, by their rows.
    """

    success: Duration = field(default_factory=Duration)
    fail: Duration = field(default_factory=Duration)
    queue: Duration = field(default_factory=Duration)
    compute: Compute = field(default_factory=Compute)
    batches: dict[int, Compute] = field(default_factory=dict)
    inferences: int = 0
    executions: int = 0
    last_inference_ms: int = 0

    def executed(self, rows: int, requests: int, queued: int, before: int, ns: int, after: int) -> None:
        """Count an execution of `requests` with `rows` together; the times in nanoseconds."""
        self.inferences += rows
        self.executions += 1
        self.queue.add(queued, requests)
        self.compute.add(before, ns, after, requests)
        batch = self.batches.get(rows)
        if batch is None:
            batch = self.batches[rows] = Compute()
        batch.add(before, ns, after)


def example_inputs(specs: list[TensorSpec]) -> list[dict[str, Any]]:
    """A runnable V2 JSON `inputs` list for declared inputs: their examples, or plain values."""
    return [example_input(spec) for spec in specs if not spec.optional]


def example_input(spec: TensorSpec) -> dict[str, Any]:
    """One V2 JSON input; -1 becomes 1 unless the example decides a single open dimension."""
    known = 1
    for dimension in spec.shape:
        known *= dimension if dimension >= 0 else 1
    shape = [dimension if dimension >= 0 else 1 for dimension in spec.shape]
    data = spec.example
    if data is None:
        filler: Any = {"BYTES": "Tandem serves models.", "BOOL": False}.get(spec.datatype, 0)
        data = [filler] * known
    elif -1 in spec.shape and known and len(data) % known == 0:
        shape[spec.shape.index(-1)] = len(data) // known
    return {"name": spec.name, "shape": shape, "datatype": spec.datatype, "data": data}
