"""The composition root: what the `import_path`s of a Serve config name.

`build_router` makes the one application with a route; `build_model` makes a model's application,
without one (`route_prefix: null`), whose name is the model's name.
"""

from typing import Any

from ray import serve
from ray.serve import Application
from ray.serve.config import AutoscalingConfig
from ray.serve.handle import DeploymentHandle

from serve_app.config import RemoteModel, RouterArgs, TokenizerConfig, parse
from serve_app.deployments.replica import ModelReplica
from serve_app.deployments.router import Router
from serve_app.deployments.tokenizer import Tokenizer
from serve_app.ingress.fast_path import register, register_engine, register_model
from serve_app.ingress.grpc import GrpcServicer
from serve_app.ingress.rest import RestApp
from serve_app.releases.applications import REPLICA, TOKENIZER
from serve_app.runtimes.base import need

# Serve calls reconfigure for an empty user_config, but not for one that went away.
NOTHING: dict[str, Any] = {}


class Ingress(GrpcServicer, Router):
    """The Router with its two protocol edges."""

    def __serve_build_asgi_app__(self) -> RestApp:
        app = RestApp(self.plane, lambda: self.limits)
        register(app, self)
        return app


class DirectReplica(ModelReplica):
    """The ModelReplica, with the short way to it."""

    async def __init__(self, config: dict[str, Any]) -> None:  # type: ignore[misc]  # as its base's
        await super().__init__(config)
        register_model(self)


class DirectTokenizer(Tokenizer):
    """The Tokenizer, likewise."""

    async def __init__(  # type: ignore[misc]  # as its base's
        self, config: dict[str, Any], replica: DeploymentHandle[Any]
    ) -> None:
        await super().__init__(config, replica)
        register_model(self)


def build_router(args: dict[str, Any]) -> Application:
    """The application `tandem`. `args`: serve_app.config.RouterArgs."""
    config = parse(RouterArgs, args, "args")
    deployment = serve.deployment(
        serve.ingress(None)(Ingress),
        name="Router",
        user_config=NOTHING,
        max_ongoing_requests=config.max_ongoing_requests,
    )
    return deployment.bind()


def build_model(args: dict[str, Any]) -> Application:
    """A model's application. `args`: serve_app.config.RemoteModel."""
    config = parse(RemoteModel, args, "args")
    if config.model_format == "vllm":
        return _build_llm(config, args)
    # As written, not as parsed: the actor parses it again, and only plain data crosses.
    resources = config.resources
    replica = serve.deployment(
        DirectReplica,
        name=REPLICA,
        user_config=NOTHING,
        max_ongoing_requests=config.in_flight,
        ray_actor_options={"num_cpus": resources.num_cpus, "num_gpus": resources.num_gpus},
        **_scale(config),
    ).bind(args)
    if config.model_format != "transformers":
        return replica
    tokenizer = config.tokenizer or TokenizerConfig()
    if not tokenizer.replicas:
        return replica
    return serve.deployment(
        DirectTokenizer,
        name=TOKENIZER,
        num_replicas=tokenizer.replicas,
        max_ongoing_requests=256,
        ray_actor_options={"num_cpus": tokenizer.num_cpus},
    ).bind(args, replica)


def _build_llm(config: RemoteModel, args: dict[str, Any]) -> Application:
    need("vllm", "llm")
    from serve_app.llm.application import build_llm
    from serve_app.llm.replica import EngineReplica

    class DirectEngine(EngineReplica):
        """The EngineReplica, with the short way to it."""

        async def __init__(self, llm_config: Any, config: dict[str, Any]) -> None:  # type: ignore[misc]
            await super().__init__(llm_config, config)
            register_engine(self)

    return build_llm(config, args, _scale(config), DirectEngine)


def _scale(config: RemoteModel) -> dict[str, Any]:
    if config.autoscaling is None:
        return {"num_replicas": config.replicas or 1}
    return {
        "autoscaling_config": AutoscalingConfig(
            min_replicas=config.autoscaling.min_replicas,
            max_replicas=config.autoscaling.max_replicas,
            target_ongoing_requests=config.autoscaling.scale_target,
        )
    }
