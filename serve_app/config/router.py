"""What the Router is told."""

from pydantic import Field, model_validator

from serve_app.config.base import Config
from serve_app.config.model import InlineModel


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
    """`user_config` of the Router: all of it changes in place.

    `generation`: a number that whoever changes it counts up; each Router says which one it serves.
    """

    generation: int = Field(default=0, ge=0)
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
