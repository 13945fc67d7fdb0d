"""What the Router is told."""

import re
from collections.abc import Iterator
from typing import Any

from pydantic import Field, field_validator, model_validator

from serve_app.config.admin import Admin
from serve_app.config.base import Config, Place, refuse
from serve_app.config.graph import Graph, together
from serve_app.config.model import InlineModel
from serve_app.config.payloads import PayloadLogger
from serve_app.config.policy import version_text
from serve_app.config.rollout import Rollout
from serve_app.config.shadow import Shadow
from serve_app.config.traffic import Traffic
from serve_app.config.transformer import Transformer, apart

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:\d{1,5})?")
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class Routing(Config):
    """What the Router decides about one model, wherever it is placed."""

    default_version: str | None = None
    """The version for requests that name none. Without it, the newest one that is ready."""
    rollout: Rollout | None = None
    """How a new version takes the place of the one that serves."""
    traffic: Traffic | None = None
    """How requests that name no version are shared among several. Not beside `defaultVersion`."""
    shadow: Shadow | None = None
    """A version that gets copies of requests, whose answers are compared and go to nobody."""

    @field_validator("default_version", mode="before")
    @classmethod
    def _number(cls, version: Any) -> Any:
        return version_text(version)

    @model_validator(mode="after")
    def _one(self) -> "Routing":
        if self.traffic is not None and self.default_version is not None:
            text = "traffic says which version answers: it takes no defaultVersion beside it"
            refuse("routing", [(("defaultVersion",), text)])
        return self


class Limits(Config):
    """Protection of the Router. Sizes in bytes, times in seconds."""

    max_body_bytes: int = Field(default=64 * 2**20, ge=1)
    """The largest request."""
    body_timeout: float = Field(default=10, gt=0)
    """Seconds that a client may pause while it sends a request; then it is answered with 408."""
    stream_timeout: float = Field(default=300, gt=0)
    """Seconds that a gRPC stream may stay open with no request under way."""
    max_queued_requests: int | None = Field(default=None, ge=1)
    """Requests of one model that may be in one Router; one more is answered with 503. Without it, as
    many as can be answered in time, by the model's pace and `timeout`.
    """
    max_loaded_models: int | None = Field(default=None, ge=1)
    """How many models inside the Router are in memory at a time. With it each one is loaded when it is
    asked for, and the one that was asked for longest ago gives way. Without it all of them are loaded.
    """
    timeout: float = Field(default=60, gt=0)
    """Seconds until a request that has no answer yet is answered with 504."""
    min_compress_bytes: int = Field(default=1024, ge=0)
    """Answers from this size on are compressed for clients that accept it."""


class Logging(Config):
    """`requests`: one JSON line per request on the replica's standard output."""

    requests: bool = True
    """Whether each request writes a line of JSON."""


class Cors(Config):
    """Which web pages may read answers. `allowHeaders: ["*"]` are those that a page asks for.

    `maxAge`: seconds that a browser may remember it.
    """

    allow_origins: list[str] = Field(min_length=1)
    """Web pages that may read answers, as `https://app.example.com`, or `*`."""
    allow_headers: list[str] = ["*"]
    """Headers that they may send; `*` is those that a page asks for."""
    expose_headers: list[str] = ["Inference-Header-Content-Length", "X-Request-Id", "Retry-After"]
    """Headers of an answer that they may read."""
    allow_credentials: bool = False
    """Whether they may send cookies. Not together with `*`."""
    max_age: int = Field(default=600, ge=0)
    """Seconds for which a browser may remember this."""

    @field_validator("allow_origins")
    @classmethod
    def _origins(cls, origins: list[str]) -> list[str]:
        for origin in origins:
            if origin != "*" and not _ORIGIN.fullmatch(origin):
                raise ValueError(
                    "an origin is scheme://host[:port] in lower case, without a path, or *: "
                    f"got {origin!r}"
                )
        return origins

    @field_validator("allow_headers", "expose_headers")
    @classmethod
    def _headers(cls, names: list[str]) -> list[str]:
        for name in names:
            if not _HEADER.fullmatch(name):
                raise ValueError(f"{name!r} is not the name of a header")
        return names

    @model_validator(mode="after")
    def _no_wildcard_with_credentials(self) -> "Cors":
        if self.allow_credentials and "*" in self.allow_origins:
            raise ValueError(
                "allowCredentials needs origins by name: browsers refuse * with credentials"
            )
        return self


class RouterUserConfig(Config):
    """`user_config` of the Router: all of it changes in place.

    `generation`: a number that whoever changes it counts up; each Router says which one it serves.
    `strictReadiness`: the server is ready only while all models are, as Triton has it.
    `exceptionTexts`: clients are told what a model's exceptions say, not their kind alone.
    """

    generation: int = Field(default=0, ge=0)
    """A number of your own that goes up with each change; the metric `router_generation` says which
    one a Router serves.
    """
    models: list[InlineModel] = []
    """The models inside the Router's own process."""
    graphs: list[Graph] = []
    """Graphs of models, each under a name of its own, as KServe's InferenceGraph has them."""
    transformers: list[Transformer] = []
    """Classes with `preprocess` and `postprocess` around models, as KServe's transformers are."""
    routing: dict[str, Routing] = {}
    """What the Router decides about a model, by the name of the model."""
    limits: Limits = Limits()
    """What protects the Router."""
    logging: Logging = Logging()
    """What it writes."""
    payloads: list[PayloadLogger] = []
    """Loggers of requests and answers; without any, nothing of them is kept."""
    cors: Cors | None = None
    """Which web pages may read answers; without it, none of another origin."""
    strict_readiness: bool = False
    """Whether the server counts as ready only while all of its models are."""
    exception_texts: bool = False
    """Whether clients are told what a model's exception says, and not only its type."""
    discovery_interval: float = Field(default=1.0, gt=0)
    """Seconds between two looks at which applications there are."""

    @model_validator(mode="after")
    def _unique(self) -> "RouterUserConfig":
        refuse("user_config", self._twice())
        return self

    def composed(self) -> set[str]:
        """The names of what stands for models and isn't one."""
        return {graph.name for graph in self.graphs} | {one.name for one in self.transformers}

    def _twice(self) -> Iterator[tuple[Place, str]]:
        names = set[str]()
        for index, model in enumerate(self.models):
            if model.name in names:
                yield ("models", index, "name"), f"models holds '{model.name}' twice"
            names.add(model.name)
        yield from together(self.graphs, names)
        yield from apart(self.transformers, self.graphs, names)


class RouterArgs(Config):
    """The arguments of `serve_app.app:build_router`."""

    max_ongoing_requests: int = Field(default=4096, ge=1)
    """Requests that one Router holds at a time. One model may have half of them, two a third each, and
    so on.
    """
    admin: Admin | None = None
    """Load and unload over the network. Without it they are refused, and nothing of it runs."""
