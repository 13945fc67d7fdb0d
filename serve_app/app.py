"""The composition root: what the `import_path`s of a Serve config name.

`build_router` makes the one application with a route; `build_model` makes a model's application,
without one (`route_prefix: null`), whose name is the model's name. `add_inference_service` is for
`grpc_servicer_functions`, `middlewares` for RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH.
"""

from typing import Any

from ray import serve
from ray.serve import Application
from ray.serve.config import AutoscalingConfig

from serve_app.config import NEW_FIRST, RemoteModel, RouterArgs, TokenizerConfig, parse
from serve_app.deployments.replica import ModelReplica
from serve_app.deployments.router import Router
from serve_app.deployments.steward import Steward
from serve_app.deployments.tokenizer import Tokenizer
from serve_app.ingress.fast_path import middlewares
from serve_app.ingress.grpc import add_inference_service
from serve_app.releases.applications import REPLICA, TOKENIZER
from serve_app.runtimes.base import need

__all__ = ["add_inference_service", "build_model", "build_router", "middlewares"]

# Serve calls reconfigure for an empty user_config, but not for one that went away.
NOTHING: dict[str, Any] = {}
# Seconds between Serve's looks whether a process is there: it starts another one so much later.
LOOK_S = 1.0
STEWARDS = 10_000  # calls under way of Routers that wait for news, and of changes


def build_router(args: dict[str, Any]) -> Application:
    """The application `tandem`. `args`: serve_app.config.RouterArgs."""
    config = parse(RouterArgs, args, "args")
    deployment = serve.deployment(
        serve.ingress(None)(Router),
        name="Router",
        user_config=NOTHING,
        max_ongoing_requests=config.max_ongoing_requests,
        # By Serve's way as many may wait in front of it; the rest Serve answers with 503.
        max_queued_requests=config.max_ongoing_requests,
        max_surge_percent=NEW_FIRST,
        health_check_period_s=LOOK_S,
    )
    if config.admin is None:
        return deployment.bind()
    admin = args["admin"]
    steward = serve.deployment(
        Steward,
        name="Steward",
        num_replicas=1,
        max_ongoing_requests=STEWARDS,
        graceful_shutdown_timeout_s=2,
        health_check_period_s=LOOK_S,
        ray_actor_options={"num_cpus": 0},
    ).bind(admin)
    return deployment.bind(admin, steward)


def build_model(args: dict[str, Any]) -> Application:
    """A model's application. `args`: serve_app.config.RemoteModel."""
    config = parse(RemoteModel, args, "args")
    if config.model_format == "vllm":
        return _build_llm(config, args)
    # As written, not as parsed: the actor parses it again, and only plain data crosses.
    resources = config.resources
    replica = serve.deployment(
        ModelReplica,
        name=REPLICA,
        user_config=NOTHING,
        max_ongoing_requests=config.in_flight,
        health_check_period_s=LOOK_S,
        ray_actor_options={"num_cpus": resources.num_cpus, "num_gpus": resources.num_gpus},
        **_scale(config),
    ).bind(args)
    if config.model_format != "transformers":
        return replica
    tokenizer = config.tokenizer or TokenizerConfig()
    in_pairs = config.options.get("task") == "zero-shot-classification"  # which are made of two inputs
    if not tokenizer.replicas or in_pairs:
        return replica
    return serve.deployment(
        Tokenizer,
        name=TOKENIZER,
        num_replicas=tokenizer.replicas,
        max_ongoing_requests=256,
        health_check_period_s=LOOK_S,
        max_surge_percent=NEW_FIRST,
        ray_actor_options={"num_cpus": tokenizer.num_cpus},
    ).bind(args, replica)


def _build_llm(config: RemoteModel, args: dict[str, Any]) -> Application:
    need("vllm", "llm")
    from serve_app.llm.application import build_llm
    from serve_app.llm.replica import EngineReplica

    return build_llm(config, args, _scale(config), EngineReplica)


def _scale(config: RemoteModel) -> dict[str, Any]:
    if config.autoscaling is None:
        return {"max_surge_percent": NEW_FIRST, "num_replicas": config.replicas or 1}
    return {
        "max_surge_percent": NEW_FIRST,
        "autoscaling_config": AutoscalingConfig(
            min_replicas=config.autoscaling.min_replicas,
            max_replicas=config.autoscaling.max_replicas,
            target_ongoing_requests=config.autoscaling.scale_target,
        ),
    }
