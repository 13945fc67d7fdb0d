"""A model with replicas of its own."""

from collections.abc import Iterator, Mapping
from math import prod
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from serve_app.config.base import Config, Place
from serve_app.config.explainer import Explainer
from serve_app.config.model import Batching, ModelConfig, servable
from serve_app.errors import ConfigError

# New replicas before old ones go, a quarter of them (in percent) at a time and at least one, as
# Kubernetes has it; the old ones stay where the new ones can't start.
NEW_FIRST = 25


class Resources(Config):
    """What one replica reserves, in Ray's words."""

    num_cpus: float = Field(default=1, ge=0, alias="num_cpus")
    """CPU cores that Ray reserves for each replica. It does not limit them."""
    num_gpus: float = Field(default=0, ge=0, alias="num_gpus")
    """GPUs, or a fraction of one."""


class Autoscaling(Config):
    """`scaleTarget` is the number of batches in flight per replica to aim for."""

    min_replicas: int = Field(default=1, ge=0)
    """With 0 the model gives its resources back while nobody asks for it."""
    max_replicas: int = Field(ge=1)
    """The most replicas there may be."""
    scale_target: float = Field(default=1, gt=0)
    """Batches in flight for each replica to aim for. It has to be less than `concurrency` + 1."""

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
    """With 0 the model's own process tokenizes, which saves a step between processes."""
    num_cpus: float = Field(default=1, ge=0, alias="num_cpus")
    """CPU cores that Ray reserves for each."""


class LlmConfig(Config):
    """What Ray Serve's LLM library is told, beside the engine's own arguments.

    `adapterPath`, an address as storageUri's, holds LoRA adapters in folders; a request for the
    model `name:adapter` loads one, up to `maxAdapters` per replica.
    """

    accelerator_type: str | None = None
    """Which GPUs, where a cluster has several kinds."""
    routing: Literal["balanced", "prefix"] = "balanced"
    """`balanced` takes the least busy engine, `prefix` the one that has seen the beginning of the
    prompt.
    """
    adapter_path: str | None = None
    """A folder with LoRA adapters, each in a folder of its own: an address as storageUri's."""
    max_adapters: int = Field(default=16, ge=1)
    """How many adapters one replica holds at a time."""


# Requests that one vLLM engine holds when `concurrency` says nothing; the engine queues by itself.
ENGINE_CONCURRENCY = 256


class RemoteModel(ModelConfig):
    """A model with replicas of its own: the arguments of `serve_app.app:build_model`.

    `model` is the one whose versions these are, the application's own name when nothing is said.
    `engine` holds vLLM's arguments by vLLM's names; the deployment holds them against its version.
    """

    placement: Literal["remote"] = "remote"
    """Nothing else is possible here; it may be left out."""
    model: str | None = None
    """The model whose versions these are, where that isn't the application's name."""
    engine: dict[str, Any] = {}
    """For vllm: the engine's arguments, by vLLM's names."""
    llm: LlmConfig | None = None
    """For vllm: what Ray Serve is told beside them."""
    resources: Resources = Resources()
    """What each replica reserves."""
    replicas: int | None = None
    """How many processes hold the model; 1 where neither this nor autoscaling is set."""
    autoscaling: Autoscaling | None = None
    """How many there are by load, instead of `replicas`."""
    tokenizer: TokenizerConfig | None = None
    """For transformers: processes that tokenize texts, scaled apart from the model."""
    explains: str | None = None
    """Makes this application an explainer of that model: it answers `:explain` for it (explain.md)."""
    explainer: Explainer | None = None
    """How it explains. Without it the model's `class` does."""

    @field_validator("model")
    @classmethod
    def _servable_model(cls, model: str | None) -> str | None:
        return servable(model)

    @field_validator("explains")
    @classmethod
    def _servable_explained(cls, model: str | None) -> str | None:
        return servable(model)

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

    @model_validator(mode="before")
    @classmethod
    def _nothing_to_load(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and _asks(data.get("explainer")):
            return {"modelFormat": "python", **data}
        return data

    @property
    def loads_nothing(self) -> bool:
        """Whether it has no model of its own: LIME asks the one that it explains."""
        return self.explainer is not None and self.explainer.method == "lime"

    def contradictions(self) -> Iterator[tuple[Place, str]]:
        """A model's, and those of an engine and of replicas."""
        yield from super().contradictions()
        yield from self._of_the_engine()
        yield from self._of_the_explainer()
        if self.replicas is not None and self.replicas < 1:
            yield (
                ("replicas",),
                f"with replicas {self.replicas} nothing could ever answer: "
                "set it to 1 or more (with minReplicas 0 a model scales to zero)",
            )
        if self.replicas is not None and self.autoscaling:
            yield ("replicas",), "set replicas or autoscaling, not both"
        if self.autoscaling and self.autoscaling.scale_target >= self.in_flight:
            yield (
                ("autoscaling", "scaleTarget"),
                f"scaleTarget {self.autoscaling.scale_target:g} is never passed: one replica has "
                f"at most {self.in_flight} batches in flight (concurrency {self.concurrency} + 1)",
            )
        if self.model_format == "v2":
            yield (
                ("modelFormat",),
                "modelFormat v2 computes nothing: it is an entry of the Router's `models`, without "
                "processes of its own",
            )
        if self.tokenizer and self.model_format != "transformers":
            yield (
                ("tokenizer",),
                f"tokenizer belongs to modelFormat transformers, not {self.model_format}",
            )
        pairs = self.options.get("task") == "zero-shot-classification"
        if pairs and self.tokenizer and self.tokenizer.replicas:
            yield ("tokenizer",), "zero-shot-classification tokenizes in the model's own process"

    def _of_the_explainer(self) -> Iterator[tuple[Place, str]]:
        explainer, kind = self.explainer, self.model_format
        if self.explains is None:
            if explainer is not None:
                yield ("explains",), "`explainer` needs `explains`, the name of the model"
            return
        if self.batching is not None:
            yield ("batching",), "explanations are made one request at a time: no batching"
        if explainer is None:
            if kind != "python":
                yield (
                    ("explains",),
                    f"modelFormat {kind} explains nothing by itself: `explainer: {{method: …}}`, or a "
                    "class of your own (modelFormat python)",
                )
            return
        for place, text in explainer.contradictions(kind):
            yield ("explainer", *place), text
        if explainer.method == "lime":
            if kind != "python" or self.class_path:
                yield ("explainer", "method"), "lime asks the model itself: no modelFormat, no class"
            if explainer.kind in ("text", "image") and self.storage_uri:
                yield ("storageUri",), f"lime of kind {explainer.kind} reads no files: no storageUri"
            if explainer.kind == "tabular" and not self.storage_uri:
                yield (
                    ("storageUri",),
                    "lime of kind tabular needs storageUri: a folder with background.csv or "
                    "background.npy, rows such as the model was trained on",
                )
        if explainer.method == "integratedGradients":
            for at, tensor in enumerate(self.inputs):
                if tensor.datatype not in ("FP16", "BF16", "FP32", "FP64"):
                    yield (
                        ("inputs", at, "datatype"),
                        "integratedGradients needs inputs with gradients (FP32, …), not "
                        f"{tensor.datatype}",
                    )

    def _of_the_engine(self) -> Iterator[tuple[Place, str]]:
        if self.model_format != "vllm":
            for key in ("engine", "llm"):
                if getattr(self, key):
                    yield (key,), f"engine and llm belong to modelFormat vllm, not {self.model_format}"
            return
        for key in ("batching", "options", "inputs", "outputs"):
            if getattr(self, key):
                yield (
                    (key,),
                    "modelFormat vllm batches by itself and has inputs and outputs of its own: "
                    "no batching, options, inputs, outputs (vLLM's arguments go into engine)",
                )
        if self.swap != "beside":
            yield ("swap",), "an engine's processes are replaced by Serve, the new ones first: no swap"
        sizes = [self.engine.get(f"{kind}_parallel_size", 1) for kind in ("tensor", "pipeline")]
        wanted = prod(size for size in sizes if isinstance(size, int))
        if self.resources.num_gpus not in (0, wanted):
            yield (
                ("resources", "num_gpus"),
                f"resources.num_gpus {self.resources.num_gpus:g} differs from what the engine takes, "
                f"tensor_parallel_size x pipeline_parallel_size = {wanted}",
            )

    @property
    def in_flight(self) -> int:
        """Batches that one replica may hold: those it computes and one waiting behind them."""
        return self.concurrency + 1


def _asks(explainer: Any) -> bool:
    """Whether an explainer's method, as it is written, is the one that loads no model."""
    method = explainer.get("method") if isinstance(explainer, Mapping) else None
    return method is not None and method not in ("shap", "integratedGradients")


def named(config: RemoteModel, application: str) -> RemoteModel:
    """The configuration under its model's name: `model`, else the application's name.

    ConfigError when `name` claims another application.
    """
    if config.name not in (None, application):
        raise ConfigError(
            f"name '{config.name}' differs from its application's name '{application}'; "
            "`model` says of which model the versions are, when that isn't the application's name"
        )
    name = config.model or application
    if config.explains == name:
        raise ConfigError(f"explains '{name}': that is the explainer's own name; it needs another one")
    return config.model_copy(update={"name": name})


class ReplicaUserConfig(Config):
    """`user_config` of a ModelReplica: what may change while it serves."""

    batching: Batching | None = None
    """Instead of what the arguments say."""
