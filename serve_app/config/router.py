"""What the Router is told."""

import re

from pydantic import Field, field_validator, model_validator

from serve_app.config.base import Config
from serve_app.config.model import InlineModel

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:\d{1,5})?")
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


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


class Cors(Config):
    """Which web pages may read answers. `allowHeaders: ["*"]` are those that a page asks for.

    `maxAge`: seconds that a browser may remember it.
    """

    allow_origins: list[str] = Field(min_length=1)
    allow_headers: list[str] = ["*"]
    expose_headers: list[str] = ["Inference-Header-Content-Length", "X-Request-Id", "Retry-After"]
    allow_credentials: bool = False
    max_age: int = Field(default=600, ge=0)

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
    """

    generation: int = Field(default=0, ge=0)
    models: list[InlineModel] = []
    routing: dict[str, Routing] = {}
    limits: Limits = Limits()
    logging: Logging = Logging()
    cors: Cors | None = None
    strict_readiness: bool = False
    discovery_interval: float = Field(default=1.0, gt=0)

    @model_validator(mode="after")
    def _unique(self) -> "RouterUserConfig":
        seen: set[str] = set()
        for model in self.models:
            if model.name in seen:
                raise ValueError(f"models holds '{model.name}' twice")
            seen.add(model.name)
        return self


class RouterArgs(Config):
    """The arguments of `serve_app.app:build_router`."""

    max_ongoing_requests: int = Field(default=1024, ge=1)
