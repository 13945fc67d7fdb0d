"""What a model is, wherever it is placed."""

import re
from collections.abc import Iterator
from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator
from pydantic.alias_generators import to_snake

from serve_app.config.base import APART, Config, Place, refuse
from serve_app.config.options import check_options
from serve_app.config.policy import Versions, policy

Datatype = Literal[
    "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64",
    "FP16", "BF16", "FP32", "FP64", "BYTES",
]  # fmt: skip
ModelFormat = Literal[
    "torch", "onnx", "transformers", "sklearn", "xgboost", "lightgbm", "mlflow", "tensorflow", "v2",
    "python", "vllm",
]  # fmt: skip
# KServe's and Triton's names of some of them.
_ALSO = {"pytorch": "torch", "huggingface": "transformers", "triton": "v2"}
# Those whose files may be programs: who trusts whoever writes them says so.
_TRUSTING = ("torch", "sklearn", "mlflow", "tensorflow")

# Names appear in URLs, metric labels and Serve application names.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def servable(name: str | None) -> str | None:
    """`name`, if a model can have it; ValueError says what it may hold."""
    if name is not None and not _NAME.fullmatch(name):
        raise ValueError(
            f"'{name}' must start with a letter or digit and hold only letters, digits, "
            "'.', '_' and '-' (at most 128)"
        )
    return name


class TensorConfig(Config):
    """One declared input or output. `shape` holds -1 where a dimension may vary."""

    name: str = Field(min_length=1)
    """The name by which requests and answers call the tensor."""
    datatype: Datatype
    """The type of its elements, in V2's words. BYTES is text or any other bytes."""
    shape: tuple[int, ...]
    """Its dimensions; -1 is any size. With batching the first one is the batch, so it is -1."""
    optional: bool = False
    """For an input: whether a request may leave it out."""
    example: list[Any] | None = None
    """For an input: the elements of an example, one by one. `/docs` shows it, the warm-up runs it."""
    labels: list[str] | None = None
    """For an output: the names of its classes, by index. Classification answers have them."""
    label_filename: str | None = None
    """For an output: a text file with a name in each line, in the version's folder or beside it."""

    @field_validator("shape")
    @classmethod
    def _dimensions(cls, shape: tuple[int, ...]) -> tuple[int, ...]:
        if any(dimension < -1 for dimension in shape):
            raise ValueError("a dimension is -1 (any) or at least 0")
        return shape

    @field_validator("label_filename")
    @classmethod
    def _plain(cls, name: str | None) -> str | None:
        if name is not None and (not name or "/" in name or name in (".", "..")):
            raise ValueError(f"'{name}' is no file's name: it lies in the model's folder")
        return name


class Batching(Config):
    """Coalescing across requests along the first dimension.

    `maxBatchSize` counts rows. `maxLatency` (milliseconds) is how long a request may wait for
    company while a replica is idle; 0 sends it at once and batches only what queues up.
    """

    max_batch_size: int = Field(ge=1)
    """The most rows that run together, a row being one entry of the first dimension."""
    max_latency: float = Field(default=0, ge=0)
    """Milliseconds that a request may wait for others while the model is idle. With 0 it runs at once,
    and only what arrives while the model is busy, or at the same moment, runs together.
    """


class ModelConfig(Config):
    """What a model is: the part that inline and remote placement share.

    `hangAfter`: a prediction that runs so long, in seconds, and that nobody waits for any more, hangs.
    `trusted`: its file (TorchScript, a pickle) may do whatever its process may; without it, no such one
    is loaded.
    """

    name: str | None = None
    """The model's name in URLs. A model with an application of its own needs none: it has the
    application's.
    """
    model_format: ModelFormat
    """What runs the model: a framework, or another V2 server (`v2`). KServe's `pytorch` is torch, its
    `huggingface` transformers, its `triton` v2.
    """
    storage_uri: str | None = Field(default=None, repr=False)  # it may hold credentials
    """The folder of the model: a path, `file:///…`, `pvc://`, or one to fetch: `s3://`, `gs://`,
    `abfss://`, `hf://`, `https://` (storage.md). A relative path starts at the variable
    TANDEM_MODEL_ROOT, or else at the working directory. Required, but for python and v2.
    """
    class_path: str | None = Field(default=None, alias="class")
    """For modelFormat python: `package.module:ClassName`."""
    versions: Versions = "all"
    """Which of the version folders below storageUri are loaded: `all`, the newest (`latest`), the
    newest so many (`{latest: 2}`), or those that are listed. Triton's `version_policy` is taken, too.
    """
    swap: Literal["beside", "replace"] = "beside"
    """How another version takes the place of one that serves: it is loaded beside it, and refused where
    there is no room for both; or the one of before is dropped first (`replace`), and requests wait.
    """
    inputs: list[TensorConfig] = []
    """What a request has to hold. Required for torch; the others know it themselves, and python takes
    anything where nothing is said.
    """
    outputs: list[TensorConfig] = []
    """What an answer holds. Required for torch; for onnx it chooses among the outputs of the graph. For
    sklearn, xgboost and lightgbm a single one may give the answer another name, such as `output-0`.
    """
    options: dict[str, Any] = Field(default={}, validate_default=True)
    """Settings of the modelFormat, in the tables below. For python they are the keyword arguments of
    `__init__`.
    """
    batching: Batching | None = None
    """Whether requests run together. Without it each runs alone."""
    concurrency: int = Field(default=1, ge=1)
    """How many batches one process computes at a time. For vllm: how many requests one engine holds,
    256 unless something else is said.
    """
    warm_up: bool = True
    """Whether the inputs' examples run once before the first request."""
    hang_after: float = Field(default=60, gt=0)
    """Seconds after which a prediction that nobody waits for any more counts as hanging."""
    trusted: bool = False
    """Whether a file may be loaded that is a program and may do whatever its process may: TorchScript
    for torch, a pickle (`.pkl`, `.joblib`) for sklearn and mlflow, a SavedModel for tensorflow.
    """
    revision: str | None = None
    """Any text. It means nothing by itself: another one is a change, and loads the model anew."""

    @field_validator("name")
    @classmethod
    def _servable_name(cls, name: str | None) -> str | None:
        return servable(name)

    @field_validator("versions", mode="before")
    @classmethod
    def _policy(cls, versions: Any) -> Any:
        return policy(versions)

    @field_validator("model_format", mode="before")
    @classmethod
    def _by_another_name(cls, name: Any) -> Any:
        return _ALSO.get(name, name) if isinstance(name, str) else name

    @field_validator("options")
    @classmethod
    def _of_the_format(cls, options: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        if model_format := info.data.get("model_format"):  # else that is what's wrong
            check_options(model_format, options)
        return options

    @model_validator(mode="after")
    def _fits_together(self, info: ValidationInfo) -> "ModelConfig":
        if not (info.context or {}).get(APART):
            refuse("model", self.contradictions())
        return self

    @property
    def loads_nothing(self) -> bool:
        """Whether there is neither a model nor a class to load."""
        return False

    def contradictions(self) -> Iterator[tuple[Place, str]]:
        """What doesn't fit together, each at the key where it stands."""
        kind = self.model_format
        if kind == "python":
            if not self.class_path and not self.loads_nothing:
                yield (), "modelFormat python needs `class`, as package.module:ClassName"
        elif self.class_path:
            yield ("class",), f"`class` belongs to modelFormat python, not {kind}"
        if kind == "v2":
            for key in ("storageUri", "batching", "trusted"):
                if getattr(self, to_snake(key)):
                    yield (key,), f"modelFormat v2 is another server's model, which has that: no {key}"
        elif kind != "python" and not self.storage_uri:
            yield (), f"modelFormat {kind} needs storageUri"
        if kind == "torch" and not (self.inputs and self.outputs):
            yield (), "modelFormat torch needs inputs and outputs: the file doesn't name them"
        if self.trusted and kind not in _TRUSTING:
            yield ("trusted",), f"`trusted` belongs to modelFormat {', '.join(_TRUSTING)}, not {kind}"
        if not self.storage_uri and isinstance(self.versions, list) and len(self.versions) != 1:
            yield ("versions",), "without storageUri there is one version, the class itself"
        for side, tensors in (("inputs", self.inputs), ("outputs", self.outputs)):
            names = [tensor.name for tensor in tensors]
            if len(set(names)) != len(names):
                yield (side,), f"{side} holds a name twice: {', '.join(names)}"
        for index, tensor in enumerate(self.inputs):
            for key in ("labels", "label_filename"):
                if getattr(tensor, key) is not None:
                    yield ("inputs", index, key), "an input has no classes: it is for an output"
        for index, tensor in enumerate(self.outputs):
            if tensor.labels is not None and tensor.label_filename is not None:
                yield ("outputs", index, "labels"), "beside labelFilename: it is one or the other"


class InlineModel(ModelConfig):
    """A model that lives inside the Router's process."""

    name: str
    """The model's name in URLs."""
    placement: Literal["inline"] = "inline"
    """Nothing else is possible here; it may be left out."""
    load_timeout: float = Field(default=60, gt=0)
    """Seconds that a Router waits for the model to load. Then it serves without it, and takes it when it
    is loaded after all.
    """

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
