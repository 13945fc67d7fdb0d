"""What a model is, wherever it is placed."""

import re
from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from serve_app.config.base import Config
from serve_app.config.options import check_options

Datatype = Literal[
    "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64",
    "FP16", "BF16", "FP32", "FP64", "BYTES",
]  # fmt: skip
ModelFormat = Literal["torch", "onnx", "transformers", "python", "vllm"]

# Names appear in URLs, metric labels and Serve application names.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_VERSION = re.compile(r"[1-9][0-9]{0,18}")


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
    """What a model is: the part that inline and remote placement share.

    `hangAfter`: a prediction that runs so long, in seconds, and that nobody waits for any more, hangs.
    `trusted`: its TorchScript file may do whatever its process may; without it that is refused.
    """

    name: str | None = None
    model_format: ModelFormat
    storage_uri: str | None = Field(default=None, repr=False)  # it may hold credentials
    class_path: str | None = Field(default=None, alias="class")
    versions: Literal["all", "latest"] | list[str] = "all"
    inputs: list[TensorConfig] = []
    outputs: list[TensorConfig] = []
    options: dict[str, Any] = Field(default={}, validate_default=True)
    batching: Batching | None = None
    concurrency: int = Field(default=1, ge=1)
    warm_up: bool = True
    hang_after: float = Field(default=60, gt=0)
    trusted: bool = False

    @field_validator("name")
    @classmethod
    def _servable_name(cls, name: str | None) -> str | None:
        return servable(name)

    @field_validator("versions")
    @classmethod
    def _numbers(cls, versions: Any) -> Any:
        for one in versions if isinstance(versions, list) else ():
            if not _VERSION.fullmatch(one):
                raise ValueError(f"a version is a positive integer, not '{one}'")
        if isinstance(versions, list) and len(set(versions)) != len(versions):
            raise ValueError(f"a version is listed twice: {', '.join(versions)}")
        return versions

    @field_validator("options")
    @classmethod
    def _of_the_format(cls, options: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        if model_format := info.data.get("model_format"):  # else that is what's wrong
            check_options(model_format, options)
        return options

    @model_validator(mode="after")
    def _source(self) -> "ModelConfig":
        if self.model_format == "python":
            if not self.class_path:
                raise ValueError("modelFormat python needs `class`, as package.module:ClassName")
        elif self.class_path:
            raise ValueError(f"`class` belongs to modelFormat python, not {self.model_format}")
        elif not self.storage_uri:
            raise ValueError(f"modelFormat {self.model_format} needs storageUri")
        if self.trusted and self.model_format != "torch":
            raise ValueError(
                f"`trusted` belongs to modelFormat torch (TorchScript), not {self.model_format}"
            )
        if self.model_format == "torch" and not (self.inputs and self.outputs):
            raise ValueError("modelFormat torch needs inputs and outputs: the file doesn't name them")
        if not self.storage_uri and isinstance(self.versions, list) and len(self.versions) != 1:
            raise ValueError("versions: without storageUri there is one, the class itself")
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
