"""Ray Serve's LLM server, its hooks, and what builds its application."""

import inspect

import pytest

from tests.contracts.conftest import NEEDS

pytest.importorskip("vllm", reason=NEEDS)


def test_names_and_what_they_take():
    from ray.serve.llm import LLMServer

    made = inspect.signature(LLMServer.__init__)
    made.bind(object(), object(), engine_cls=object, model_downloader=object)
    for hook in (
        LLMServer._start_engine,
        LLMServer._maybe_resolve_lora_from_multiplex,
        LLMServer.__serve_build_asgi_app__,
    ):
        assert inspect.iscoroutinefunction(hook)
        inspect.signature(hook).bind(object())


def test_our_names_are_none_of_ray_s():
    from ray.serve.llm import LLMServer

    from serve_app.internals.llm_server import Server

    ours = {name for name in vars(Server) if not name.startswith("_")}
    assert ours == {"build_app", "load_adapter", "loads_adapters"}
    assert not ours & set(dir(LLMServer))
    assert not {"app", "alive", "describe", "http"} & set(dir(LLMServer))


def test_usage_stats_enabled():
    from ray._common.usage.usage_lib import usage_stats_enabled

    assert isinstance(usage_stats_enabled(), bool)


def test_the_server_runs_our_engine(engine):
    assert engine("server", "engine") == "OneProcess"


def test_an_adapter_is_asked_for_before_its_request(engine):
    """By Ray's middleware, if Serve was told of one; here the bucket's client never gets a chance."""
    assert engine("server", "loads_adapters") is True
    assert engine("adapter", "loads") == ["LLMServer._maybe_resolve_lora_from_multiplex"]


def test_build_llm_deployment():
    from ray.serve.llm import LLMConfig, build_llm_deployment

    inspect.signature(build_llm_deployment).bind(
        object(), bind_kwargs={}, override_serve_options={}, deployment_cls=object
    )
    assert {
        "model_loading_config", "engine_kwargs", "accelerator_config", "log_engine_metrics",
        "deployment_config", "placement_group_config", "accelerator_type", "lora_config",
    } <= set(LLMConfig.model_fields)  # fmt: skip


async def test_request_routers_look_for_an_argument_with_a_prompt():
    from types import SimpleNamespace

    from ray.serve._private.common import RequestMetadata
    from ray.serve._private.request_router import PendingRequest
    from ray.serve.llm.request_router import PrefixCacheAffinityRouter

    args = ["/v1/completions", b"{}", SimpleNamespace(prompt="a prompt")]
    request = PendingRequest(args=args, kwargs={}, metadata=RequestMetadata("", ""))
    router = PrefixCacheAffinityRouter.__new__(PrefixCacheAffinityRouter)  # its state isn't asked for
    assert router._extract_text_from_request(request) == "a prompt"


def test_what_the_prefix_router_is_told():
    from ray.serve.llm.request_router import PrefixCacheAffinityRouter

    from serve_app.llm.application import PREFIX_ROUTING

    told = inspect.signature(PrefixCacheAffinityRouter.initialize_state)
    told.bind(object(), **PREFIX_ROUTING)
    assert set(PREFIX_ROUTING) <= set(told.parameters)
