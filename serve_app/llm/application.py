"""An LLM's Serve application: a RemoteModel as Ray Serve's LLM library takes it.

Imported only where vLLM is, as serve_app.llm.replica.
"""

from typing import Any

from ray import serve
from ray.serve import Application
from ray.serve.config import RequestRouterConfig
from ray.serve.llm import LLMConfig, LLMServer, build_llm_deployment
from ray.serve.llm.request_router import PrefixCacheAffinityRouter

from serve_app.config import LlmConfig, RemoteModel
from serve_app.llm.arguments import checked, described
from serve_app.releases.applications import REPLICA

# An engine that died is noticed after three of these.
HEALTH_PERIOD_S = 2
# Ray's defaults would never leave a busy replica for an idle one, nor forget a prompt.
PREFIX_ROUTING = {"imbalanced_threshold": 16, "do_eviction": True}


def build_llm(
    config: RemoteModel, args: dict[str, Any], scale: dict[str, Any], kind: type[LLMServer]
) -> Application:
    """The model's application. `args`: as written; `scale`: Serve's options; `kind`: what it runs."""
    checked(config.engine)
    options: dict[str, Any] = {
        "name": REPLICA,
        "max_ongoing_requests": config.in_flight,
        "health_check_period_s": HEALTH_PERIOD_S,
        # Ray's LLM library would set a hook for its workers; the job's own has to stay.
        "ray_actor_options": _actor(config),
        **scale,
    }
    llm = config.llm or LlmConfig()
    if llm.routing == "prefix":
        options["request_router_config"] = RequestRouterConfig(
            request_router_class=PrefixCacheAffinityRouter, request_router_kwargs=PREFIX_ROUTING
        )
    engine = build_llm_deployment(
        settings(config, config.name or "model", described(config.storage_uri or "", config.versions)),
        bind_kwargs={"config": args},
        override_serve_options=options,
        deployment_cls=kind,
    )
    if llm.routing == "balanced":
        return engine
    # The first deployment of an application may not have a request router of its own beside HAProxy.
    entry = serve.deployment(Entry, num_replicas=1, ray_actor_options={"num_cpus": 0})
    return entry.bind(engine)


class Entry:
    """Stands where Serve wants something to stand; the Router calls the engine itself."""

    def __init__(self, engine: Any) -> None: ...


def _on_cpu(config: RemoteModel) -> bool:
    return not config.resources.num_gpus


def _actor(config: RemoteModel) -> dict[str, Any]:
    return {"num_cpus": 0 if _on_cpu(config) else config.resources.num_cpus}


def _engine(config: RemoteModel, fetch: bool) -> dict[str, Any]:
    values = checked(config.engine, fetch)
    if config.llm and config.llm.adapter_path:
        most = max(config.llm.max_adapters, values.get("max_loras", 1))
        values = {"enable_lora": True, "max_cpu_loras": most} | values
    return values


def settings(config: RemoteModel, name: str, folder: str, fetch: bool = False) -> LLMConfig:
    """What Ray's LLM library is told of a model in `folder`; ConfigError names what can't be.

    `fetch`: here is where it runs, and adapters have to be. Else `folder` may be '', not there yet.
    """
    llm = config.llm or LlmConfig()
    settings: dict[str, Any] = {
        "model_loading_config": {"model_id": name, "model_source": folder or name},
        "engine_kwargs": _engine(config, fetch),
        "accelerator_config": {"kind": "cpu" if _on_cpu(config) else "gpu"},
        "log_engine_metrics": False,  # to Ray; serve_app.llm.metrics does
        # It adds the actor to the bundle of the first worker.
        "deployment_config": {"ray_actor_options": _actor(config)},
    }
    if _on_cpu(config):
        bundle = {"CPU": config.resources.num_cpus}
        settings["placement_group_config"] = {"bundles": [bundle]}
    if llm.accelerator_type:
        settings["accelerator_type"] = llm.accelerator_type
    if llm.adapter_path:
        # Where they are is serve_app.llm.adapters' business, not Ray's.
        settings["lora_config"] = {"max_num_adapters_per_replica": llm.max_adapters}
    return LLMConfig(**settings)
