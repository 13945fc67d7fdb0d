"""`options` of a model: what its modelFormat lets one set. A python model's are its own class's."""

from collections.abc import Iterator
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import InitErrorDetails, PydanticCustomError

from serve_app.config.base import Config, Place, did_you_mean, keys_at, refuse


class OnnxOptions(Config):
    """`threads` 0 leaves it to onnxruntime: one per core."""

    threads: int = Field(default=0, ge=0)
    """Threads of one execution; 0 is one for each core."""


class TorchOptions(Config):
    """`threads` 0 leaves it to PyTorch; it is set for the whole process."""

    threads: int = Field(default=0, ge=0)
    """Threads of one execution, for the whole process; 0 leaves it to PyTorch."""


class TensorflowOptions(Config):
    """`signature`: of those that were saved."""

    signature: str = "serving_default"
    """Which of the model's signatures answers."""
    threads: int = Field(default=0, ge=0)
    """Threads of one execution, for the whole process; 0 leaves it to TensorFlow."""


class TransformersOptions(Config):
    """`maxLength` in tokens, 0 for the model's own limit; `normalize` makes embeddings unit length.

    `maxBatchTokens` bounds what one forward pass takes, padding included: a batch is sorted by
    length and cut there. 0 means 256 on a CPU, where more falls out of its caches, and no bound on a
    GPU. On a CPU the parts of a batch run beside each other, one thread each: `threads` that share
    one pass wait for each other at every step.
    """

    task: Literal[
        "embedding", "text-classification", "token-classification", "fill-mask",
        "zero-shot-classification", "feature-extraction",
    ]  # fmt: skip
    """What the model gives for a text: a vector, a label with probabilities, a label's number for each
    token, the words for its masks, scores for classes that a request names, or a vector for each token.
    KServe's names (`text_embedding`, …) are taken, too.
    """
    labels: list[str] = Field(default=[], max_length=256)
    """Of zero-shot-classification: the classes of a request that names none."""
    hypothesis: str = "This example is {}."
    """Of zero-shot-classification: the sentence about a class, which stands for `{}`."""
    multi_label: bool = False
    """Of zero-shot-classification: whether several classes may hold at once. Else the scores of a text
    are 1 together.
    """
    max_length: int = Field(default=0, ge=0)
    """Tokens at which a text is cut; 0 is the model's own limit."""
    normalize: bool = True
    """Whether embeddings have length 1."""
    max_batch_tokens: int = Field(default=0, ge=0)
    """Tokens of one pass through the network, padding included: a batch is sorted by length and cut
    there. 0 is 256 on a CPU, and no limit on a GPU.
    """
    dtype: Literal["float32", "float16", "bfloat16", "auto"] = "float32"
    """The type of the weights and of the computation; `auto` is the one that the model's config.json
    names, as KServe's server takes it (without one: float32 on a CPU, float16 on a GPU).
    """
    answers: Literal["named", "kserve", "kserve-probabilities", "kserve-logits"] = "named"
    """`kserve`: requests and answers are as KServe's huggingfaceserver has them: texts come under any
    name, and the one output is `output-0`, of classifications the number of the likeliest class. The two
    others are as that server with `--return_probabilities` and `--return_raw_logits`.
    """
    threads: int = Field(default=0, ge=0)
    """Threads for a batch, whose parts run beside each other; 0 is one for each core."""

    @field_validator("hypothesis")
    @classmethod
    def _has_a_place(cls, hypothesis: str) -> str:
        if "{}" not in hypothesis:
            raise ValueError("a hypothesis has {} where the class stands")
        return hypothesis

    @model_validator(mode="after")
    def _of_the_task(self) -> "TransformersOptions":
        refuse("options", self._others())
        return self

    def _others(self) -> Iterator[tuple[Place, str]]:
        if self.task != "zero-shot-classification":
            for key in self.model_fields_set & {"labels", "hypothesis", "multi_label"}:
                yield (to_camel(key),), f"it is of zero-shot-classification, not of {self.task}"
        if self.answers != "named" and self.task in ("zero-shot-classification", "feature-extraction"):
            yield ("answers",), f"KServe's server has no {self.task}"

    @field_validator("task", mode="before")
    @classmethod
    def _by_kserve_s_name(cls, task: Any) -> Any:
        return _KSERVE_TASKS.get(task, task) if isinstance(task, str) else task


_KSERVE_TASKS = {
    "text_embedding": "embedding",
    "sequence_classification": "text-classification",
    "token_classification": "token-classification",
    "fill_mask": "fill-mask",
}


class SklearnOptions(Config):
    """`threads` 1: a model inside the Router may not stand in others' way."""

    output: Literal[
        "predict", "predict_proba", "predict_log_proba", "decision_function", "transform"
    ] = "predict"
    """What is answered to a request that names no outputs: one of the estimator's methods. KServe's
    variable PREDICT_PROBA is `predict_proba`, MLServer's `predict_fn` is this key.
    """
    output_name: str = ""
    """What that answer is called, where it isn't by the method's name: KServe's own servers call it
    `output-0`.
    """
    trusted_types: list[str] = []
    """Types that a skops file may hold beside those that skops itself trusts, by their full names."""
    threads: int = Field(default=1, ge=0)
    """Threads of one prediction; 0 is one for each core."""


class XgboostOptions(Config):
    """`interface` sklearn: labels, as XGBClassifier and MLServer answer."""

    output: Literal["predict", "predict_proba"] = "predict"
    """What is answered to a request that names no outputs."""
    output_name: str = ""
    """What that answer is called, where it isn't by the method's name: KServe's own servers call it
    `output-0`.
    """
    interface: Literal["booster", "sklearn"] = "booster"
    """What `predict` is: what the booster computes, as KServe's server answers (probabilities, of most
    classifiers); or the label of the likeliest class, as XGBClassifier and MLServer answer.
    """
    threads: int = Field(default=1, ge=0)
    """Threads of one prediction; 0 is one for each core."""


class LightgbmOptions(Config):
    """`threads` 1: a model inside the Router may not stand in others' way."""

    output_name: str = ""
    """What the answer is called, instead of `predict`: KServe's own server calls it `output-0`."""
    threads: int = Field(default=1, ge=0)
    """Threads of one prediction; 0 is one for each core."""


class V2Options(Config):
    """Where another V2 server is, and which of its models."""

    address: str
    """Of the other server: `http://host:8080`, `https://host/path`, `grpc://host:8081`, `grpcs://host`."""
    model: str = ""
    """The model's name there, where it is another than here."""
    version: str = ""
    """Its version there; without one, that server chooses."""
    token_variable: str = ""
    """An environment variable of the Router with a bearer token that goes with each request."""
    connections: int = Field(default=64, ge=1)
    """The most connections over HTTP; gRPC has one."""
    retries: int = Field(default=1, ge=0, le=10)
    """How often a request is sent once more when its connection broke or the server was unavailable."""
    interval: float = Field(default=2, gt=0)
    """Seconds between two looks at whether it is ready."""
    wait: float = Field(default=50, ge=0)
    """Seconds for which the model waits to be ready there when it is loaded."""

    @field_validator("address")
    @classmethod
    def _of_a_server(cls, address: str) -> str:
        parts = urlsplit(address)
        try:
            known = parts.scheme in _SCHEMES and bool(parts.hostname) and (parts.port or 1) > 0
        except ValueError:  # a port that is none
            known = False
        if not known or parts.query or parts.fragment:
            raise ValueError("an address is http://HOST:PORT, https://…, grpc://… or grpcs://…")
        if parts.username or parts.password:
            raise ValueError("an address holds no credentials: tokenVariable names a variable that does")
        if parts.scheme.startswith("grpc") and parts.path.strip("/"):
            raise ValueError("an address of gRPC has no path")
        return address


_SCHEMES = ("http", "https", "grpc", "grpcs")

# modelFormat: the type of its options. The others' aren't ours to know: python's are keyword arguments
# of the user's class, and vllm has `engine` instead.
OPTIONS: dict[str, type[Config]] = {
    "torch": TorchOptions,
    "onnx": OnnxOptions,
    "tensorflow": TensorflowOptions,
    "transformers": TransformersOptions,
    "sklearn": SklearnOptions,
    "xgboost": XgboostOptions,
    "lightgbm": LightgbmOptions,
    "v2": V2Options,
}


def check_options(model_format: str, options: dict[str, Any]) -> None:
    """ValidationError, with places inside of `options`, when they are not the format's."""
    kind = OPTIONS.get(model_format)
    if kind is None:
        return
    try:
        kind.model_validate(options)
    except ValidationError as error:
        raise ValidationError.from_exception_data(
            kind.__name__, list(_explained(error, kind, model_format))
        ) from None


def _explained(
    error: ValidationError, kind: type[Config], model_format: str
) -> Iterator[InitErrorDetails]:
    for one in error.errors(include_url=False):
        details = InitErrorDetails(type=one["type"], loc=one["loc"], input=one["input"])
        if one["type"] == "extra_forbidden":
            text = _unknown(str(one["loc"][-1]), kind, model_format)
            details["type"] = PydanticCustomError("unknown_option", "{text}", {"text": text})
        elif one["type"] == "contradiction":  # as `refuse` calls it
            details["type"] = PydanticCustomError("contradiction", "{text}", {"text": one["msg"]})
        elif "ctx" in one:
            details["ctx"] = one["ctx"]
        yield details


def _unknown(key: str, kind: type[Config], model_format: str) -> str:
    others = [name for name, other in OPTIONS.items() if key in keys_at(other, ())]
    if others:
        return f"unknown key; `{key}` belongs to modelFormat {', '.join(others)}, not {model_format}"
    return f"unknown key{did_you_mean(key, keys_at(kind, ()))}"
