"""Everything a user can configure, typed. Unknown keys are refused with a "did you mean"."""

import difflib
import re
from collections.abc import Iterable, Mapping
from math import prod
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic.alias_generators import to_camel

from serve_app.errors import ConfigError

Datatype = Literal[
    "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64",
    "FP16", "BF16", "FP32", "FP64", "BYTES",
]  # fmt: skip
ModelFormat = Literal["torch", "onnx", "transformers", "python", "vllm"]

# Names appear in URLs, metric labels and Serve application names.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


class Config(BaseModel):
    """Base: camelCase keys as in KServe, nothing unknown, nothing changed after reading."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        alias_generator=to_camel,
        validate_by_alias=True,
        validate_by_name=False,
    )


class TensorConfig(Config):
    """One declared input or output. `shape` holds -1 where a dimension may vary."""

    name: str = Field(min_length=1)
    datatype: Datatype
    shape: tuple[int, ...]
    optional: bool = False
    example: list[Any] | None = None

    @field_validator("shape")
    @classmethod
    def _dimensions(cls, shape: tuple[int, ...]) -> tuple[int, ...]:
        if any(dimension < -1 for dimension in shape):
            raise ValueError("a dimension is -1 (any) or at least 0")
        return shape


class Batching(Config):
    """Coalescing across requests along the first dimension.

    `maxBatchSize` counts rows. `maxLatency` (milliseconds) is how long a request may wait for
    company while a replica is idle; 0 sends it at once and batches only what queues up.
    """

    max_batch_size: int = Field(ge=1)
    max_latency: float = Field(default=0, ge=0)


class ModelConfig(Config):
    """What a model is: the part that inline and remote placement share."""

    name: str | None = None
    model_format: ModelFormat
    storage_uri: str | None = None
    class_path: str | None = Field(default=None, alias="class")
    versions: Literal["all", "latest"] | list[str] = "all"
    inputs: list[TensorConfig] = []
    outputs: list[TensorConfig] = []
    options: dict[str, Any] = {}
    batching: Batching | None = None
    concurrency: int = Field(default=1, ge=1)
    warm_up: bool = True

    @field_validator("name")
    @classmethod
    def _servable_name(cls, name: str | None) -> str | None:
        if name is not None and not _NAME.fullmatch(name):
            raise ValueError(
                f"'{name}' must start with a letter or digit and hold only letters, digits, "
                "'.', '_' and '-' (at most 128)"
            )
        return name

    @model_validator(mode="after")
    def _source(self) -> "ModelConfig":
        if self.model_format == "python":
            if not self.class_path:
                raise ValueError("modelFormat python needs `class`, as package.module:ClassName")
        elif self.class_path:
            raise ValueError(f"`class` belongs to modelFormat python, not {self.model_format}")
        elif not self.storage_uri:
            raise ValueError(f"modelFormat {self.model_format} needs storageUri")
        if self.model_format == "torch" and not (self.inputs and self.outputs):
            raise ValueError("modelFormat torch needs inputs and outputs: the file doesn't name them")
        for kind, tensors in (("inputs", self.inputs), ("outputs", self.outputs)):
            names = [tensor.name for tensor in tensors]
            if len(set(names)) != len(names):
                raise ValueError(f"{kind} holds a name twice: {', '.join(names)}")
        return self


class InlineModel(ModelConfig):
    """A model that lives inside the Router's process."""

    name: str
    placement: Literal["inline"] = "inline"

    @field_validator("model_format")
    @classmethod
    def _no_engine(cls, model_format: str) -> str:
        if model_format == "vllm":
            raise ValueError("vllm is for applications of their own, not for the Router's process")
        return model_format

    @field_validator("placement", mode="before")
    @classmethod
    def _not_remote(cls, placement: Any) -> Any:
        if placement == "remote":
            raise ValueError(
                "a remote model is an application of its own "
                "(import_path: serve_app.app:build_model), not an entry of the Router's models"
            )
        return placement


class Resources(Config):
    """What one replica reserves, in Ray's words."""

    num_cpus: float = Field(default=1, ge=0, alias="num_cpus")
    num_gpus: float = Field(default=0, ge=0, alias="num_gpus")


class Autoscaling(Config):
    """`scaleTarget` is the number of batches in flight per replica to aim for."""

    min_replicas: int = Field(default=1, ge=0)
    max_replicas: int = Field(ge=1)
    scale_target: float = Field(default=1, gt=0)

    @model_validator(mode="after")
    def _ordered(self) -> "Autoscaling":
        if self.min_replicas > self.max_replicas:
            raise ValueError(
                f"minReplicas {self.min_replicas} is larger than maxReplicas {self.max_replicas}"
            )
        return self


class TokenizerConfig(Config):
    """The Tokenizer deployment of a text model, scaled apart from its ModelReplica.

    With 0 replicas there is none: the ModelReplica tokenizes, which saves a hop, and suits a model
    that shares its CPUs with it anyway.
    """

    replicas: int = Field(default=1, ge=0)
    num_cpus: float = Field(default=1, ge=0, alias="num_cpus")


class LlmConfig(Config):
    """What Ray Serve's LLM library is told, beside the engine's own arguments.

    `adapterPath` (s3://, gs://, abfss://, azure://) holds LoRA adapters in folders; a request for the
    model `name:adapter` loads one, up to `maxAdapters` per replica.
    """

    accelerator_type: str | None = None
    routing: Literal["balanced", "prefix"] = "balanced"
    adapter_path: str | None = None
    max_adapters: int = Field(default=16, ge=1)


# Requests that one vLLM engine holds when `concurrency` says nothing; the engine queues by itself.
ENGINE_CONCURRENCY = 256


class RemoteModel(ModelConfig):
    """A model with replicas of its own: the arguments of `serve_app.app:build_model`.

    `engine` holds vLLM's arguments by vLLM's names; the deployment holds them against its version.
    """

    placement: Literal["remote"] = "remote"
    engine: dict[str, Any] = {}
    llm: LlmConfig | None = None
    resources: Resources = Resources()
    replicas: int | None = None
    autoscaling: Autoscaling | None = None
    tokenizer: TokenizerConfig | None = None

    @field_validator("placement", mode="before")
    @classmethod
    def _not_inline(cls, placement: Any) -> Any:
        if placement == "inline":
            raise ValueError(
                "an inline model is an entry of `models` in the Router's user_config, "
                "not an application of its own"
            )
        return placement

    @model_validator(mode="before")
    @classmethod
    def _engine_concurrency(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and data.get("modelFormat") == "vllm":
            return {"concurrency": ENGINE_CONCURRENCY, **data}
        return data

    @model_validator(mode="after")
    def _engine(self) -> "RemoteModel":
        if self.model_format != "vllm":
            if self.engine or self.llm:
                raise ValueError(f"engine and llm belong to modelFormat vllm, not {self.model_format}")
            return self
        if self.batching or self.options or self.inputs or self.outputs:
            raise ValueError(
                "modelFormat vllm batches by itself and has inputs and outputs of its own: "
                "no batching, options, inputs, outputs (vLLM's arguments go into engine)"
            )
        sizes = [self.engine.get(f"{kind}_parallel_size", 1) for kind in ("tensor", "pipeline")]
        wanted = prod(size for size in sizes if isinstance(size, int))
        if self.resources.num_gpus not in (0, wanted):
            raise ValueError(
                f"resources.num_gpus {self.resources.num_gpus:g} differs from what the engine takes, "
                f"tensor_parallel_size x pipeline_parallel_size = {wanted}"
            )
        return self

    @model_validator(mode="after")
    def _replicas(self) -> "RemoteModel":
        if self.replicas is not None and self.replicas < 1:
            raise ValueError(
                f"placement remote with replicas {self.replicas}: nothing could ever answer; "
                "set replicas to 1 or more, or autoscaling with minReplicas 0"
            )
        if self.replicas is not None and self.autoscaling:
            raise ValueError("set replicas or autoscaling, not both")
        if self.autoscaling and self.autoscaling.scale_target >= self.in_flight:
            raise ValueError(
                f"scaleTarget {self.autoscaling.scale_target:g} is never passed: one replica has "
                f"at most {self.in_flight} batches in flight (concurrency {self.concurrency} + 1)"
            )
        if self.tokenizer and self.model_format != "transformers":
            raise ValueError(f"tokenizer belongs to modelFormat transformers, not {self.model_format}")
        return self

    @property
    def in_flight(self) -> int:
        """Batches that one replica may hold: those it computes and one waiting behind them."""
        return self.concurrency + 1


class ReplicaUserConfig(Config):
    """`user_config` of a ModelReplica: what may change while it serves."""

    batching: Batching | None = None


class Routing(Config):
    """What the Router decides about one model, wherever it is placed."""

    default_version: str | None = None


class Limits(Config):
    """Protection of the Router. Sizes in bytes, times in seconds."""

    max_body_bytes: int = Field(default=64 * 2**20, ge=1)
    max_queued_requests: int = Field(default=2048, ge=1)
    timeout: float = Field(default=60, gt=0)
    min_compress_bytes: int = Field(default=1024, ge=0)


class Logging(Config):
    """`requests`: one JSON line per request on the replica's standard output."""

    requests: bool = True


class RouterUserConfig(Config):
    """`user_config` of the Router: all of it changes in place."""

    models: list[InlineModel] = []
    routing: dict[str, Routing] = {}
    limits: Limits = Limits()
    logging: Logging = Logging()
    discovery_interval: float = Field(default=1.0, gt=0)

    @model_validator(mode="after")
    def _unique(self) -> "RouterUserConfig":
        names = [model.name for model in self.models]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"models holds '{name}' twice")
        return self


class RouterArgs(Config):
    """The arguments of `serve_app.app:build_router`."""

    max_ongoing_requests: int = Field(default=1024, ge=1)


C = TypeVar("C", bound=Config)


def parse(kind: type[C], data: object, where: str = "") -> C:
    """Read `data` as `kind`; ConfigError lists every mistake with its place and a suggestion."""
    if not isinstance(data, Mapping):
        raise ConfigError(f"{where or kind.__name__}: expected a mapping, got {type(data).__name__}")
    try:
        return kind.model_validate(dict(data))
    except ValidationError as error:
        lines = [f"{join(where, place)}: {text}" for place, text in problems(error, kind)]
        raise ConfigError("\n".join(lines)) from None


def problems(error: ValidationError, kind: type[BaseModel]) -> list[tuple[tuple[str | int, ...], str]]:
    """What `error` holds, as (path to the value, sentence)."""
    found = []
    for item in error.errors():
        place = item["loc"]
        if item["type"] == "extra_forbidden":
            text = f"unknown key{did_you_mean(str(place[-1]), keys_at(kind, place[:-1]))}"
        elif item["type"] == "missing":
            text = "required, but not there"
        else:
            text = item["msg"].removeprefix("Value error, ")
            if item["type"] not in ("value_error", "model_type"):
                text += f" (got {item['input']!r})"
        found.append((place, text))
    return found


def keys_at(kind: Any, place: Iterable[str | int]) -> list[str]:
    """The keys that `kind` knows at `place`, found by walking its annotations."""
    for step in place:
        kind = _inner(kind, step)
    fields = getattr(_model_in(kind), "model_fields", {})
    return [field.alias or name for name, field in fields.items()]


def _model_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for part in getattr(annotation, "__args__", ()):
        if found := _model_in(part):
            return found
    return None


def _inner(kind: Any, step: str | int) -> Any:
    model = _model_in(kind)
    for name, field in getattr(model, "model_fields", {}).items():
        if step in (field.alias, name):
            return field.annotation
    return kind  # an index into a list or a key of a mapping


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """'; did you mean X?' or a list of what is known, or nothing."""
    known = sorted(set(known))
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if not close:
        close = [key for key in known if key.lower() == word.lower().replace("_", "")][:1]
    if close:
        return f"; did you mean {close[0]}?"
    return f"; known: {', '.join(known)}" if known else ""


def join(where: str, place: Iterable[str | int]) -> str:
    """`a.b[0].c` from a path."""
    text = where
    for step in place:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text or "(top)"
