"""What is wrong with an LLM's configuration is said before an engine starts."""

import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from serve_app.errors import ConfigError
from tests.llm.conftest import NEEDS
from tests.server import ROOT

pytest.importorskip("vllm", reason=NEEDS)


@pytest.fixture(autouse=True, scope="module")
def ray() -> Iterator[None]:
    """Ray's LLM library asks it about its runtime environment."""
    import ray

    ray.init(num_cpus=1, include_dashboard=False)
    yield
    ray.shutdown()


def built(config: str = "llm", **changes: Any) -> Any:
    """The deployments of the last application, by name."""
    from serve_app.app import build_model

    args = yaml.safe_load((ROOT / f"configs/{config}.yaml").read_text())["applications"][-1]["args"]
    args["engine"] |= changes
    found, waiting = {}, [build_model(args)]
    while waiting:
        deployment = waiting.pop()._bound_deployment
        found[deployment.name] = deployment
        waiting += [arg for arg in deployment.init_args if hasattr(arg, "_bound_deployment")]
    return found


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"max_modl_len": 5},
            "engine.max_modl_len: no argument of vLLM's engine; did you mean max_model_len",
        ),
        ({"max-model-len": 5}, "engine.max-model-len: .*did you mean max_model_len"),
        ({"model": "x"}, "engine.model: not here, storageUri says where"),
        ({"zzz": 1}, "engine.zzz: no argument of vLLM's engine; `vllm serve --help`"),
        ({"lora_modules": [{"nme": "x", "path": "."}]}, "engine.lora_modules"),
        ({"lora_modules": [{"name": "x", "path": "no/adapter"}]}, "no folder at .*no/adapter"),
    ],
)
def test_arguments_that_vllm_does_not_have(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        built(**changes)


def test_the_cpu_s_engine_takes_what_it_is_given() -> None:
    (replica,) = built().values()
    assert replica.name == "ModelReplica"
    assert replica._replica_config.placement_group_bundles == [{"GPU": 0, "CPU": 1.0}]


def test_an_engine_on_two_gpus() -> None:
    deployments = built("llm-gpu")
    assert set(deployments) == {"Entry", "ModelReplica"}
    replica = deployments["ModelReplica"]
    assert replica._replica_config.placement_group_bundles == [{"GPU": 1, "CPU": 4.0}, {"GPU": 1}]
    options = replica._deployment_config
    assert options.autoscaling_config.max_replicas == 4
    assert "PrefixCacheAffinityRouter" in options.request_router_config.request_router_class


def model(**changes: Any) -> Any:
    from serve_app.config import RemoteModel, parse

    args = yaml.safe_load((ROOT / "configs/llm.yaml").read_text())["applications"][-1]["args"]
    return parse(RemoteModel, args | changes)


@pytest.mark.parametrize(("workers", "threads"), [(1, "3"), (2, "1")])
def test_a_model_computes_on_as_many_threads_as_it_has_cores(
    monkeypatch: pytest.MonkeyPatch, workers: int, threads: str
) -> None:
    from serve_app.internals.llm_engine import Engine
    from serve_app.llm.application import settings
    from serve_app.llm.process import OneProcess

    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    (rays,) = Engine.__bases__
    monkeypatch.setattr(rays, "_start_async_llm_engine", lambda *_: "started")
    engine = OneProcess.__new__(OneProcess)
    engine.llm_config = settings(model(resources={"num_cpus": 3.5}), "tiny", "")
    parallel = SimpleNamespace(world_size=workers, distributed_executor_backend="mp")
    assert engine._start_async_llm_engine(None, SimpleNamespace(parallel_config=parallel), None)
    assert os.environ["OMP_NUM_THREADS"] == threads
    assert (parallel.distributed_executor_backend == "mp") == (workers > 1)


@pytest.mark.parametrize(
    ("changes", "ours"),
    [
        ({}, True),
        ({"engine": {"distributed_executor_backend": "uni"}}, True),
        ({"engine": {"distributed_executor_backend": "mp"}}, False),
        ({"resources": {"num_gpus": 1}}, False),
    ],
)
def test_workers_are_for_gpus_and_who_asks_for_them(changes: dict[str, Any], ours: bool) -> None:
    from serve_app.llm.process import OneProcess, engine_class

    assert engine_class(model(**changes)) is (OneProcess if ours else None)


def test_a_bucket_of_adapters_switches_lora_on() -> None:
    from serve_app.llm.application import settings

    of_bucket = {"adapterPath": "s3://b/adapters", "maxAdapters": 3}
    made = settings(model(llm=of_bucket), "tiny", "/a/folder")
    assert made.model_loading_config.model_source == "/a/folder"
    assert made.engine_kwargs["enable_lora"] is True
    assert made.engine_kwargs["max_cpu_loras"] == 3
    assert made.lora_config.max_num_adapters_per_replica == 3
    assert "enable_lora" not in settings(model(), "tiny", "").engine_kwargs


async def test_a_bucket_that_cannot_be_listed_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    from serve_app.llm import adapters

    def broken(uri: str) -> list[str]:
        raise OSError("no such bucket")

    monkeypatch.setattr(adapters.storage, "names_in", broken)
    assert await adapters.names_in("gs://b", "m") == []


async def test_adapters_may_lie_in_a_folder(tmp_path: Path) -> None:
    from serve_app.errors import NotFound
    from serve_app.llm.adapters import Adapters, names_in

    for name in ("x", "empty"):
        (tmp_path / name).mkdir()
    (tmp_path / "x" / "adapter_config.json").write_text('{"max_length": 7}')
    assert await names_in(str(tmp_path), "m") == ["m:empty", "m:x"]
    loader = Adapters(str(tmp_path))
    found = await loader.load_model_from_config(lora_model_id="m:x", llm_config=None)
    assert (found.local_path, found.max_total_tokens) == (str(tmp_path / "x"), 7)
    assert await loader.load_model_from_config("m:x", None) is found
    for name in ("empty", "absent"):
        with pytest.raises(NotFound, match=name):
            await loader.load_model_from_config(f"m:{name}", None)
