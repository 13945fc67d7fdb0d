"""An engine of vLLM's on this machine's CPU, by Ray's LLM library, looked at as our replica does.

`found` gives, by place, what was found under each name, or the error.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
MODEL, CONTEXT, CORES = "tiny", 64, 2
ADAPTERS = {"adapterPath": "s3://no-such-bucket/adapters", "maxAdapters": 2}


def found() -> dict[str, Any]:
    """What is there, by place; from an engine that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="td-", dir="/tmp") as folder:
        return _found(Path(folder))


def _found(folder: Path) -> dict[str, Any]:
    script = "import sys; from tests.contracts.engine import main; main(sys.argv[1])"
    # Ray's worker sets this one for what it starts.
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "RAY_USAGE_STATS_ENABLED": "0"}
    environment |= {"OMP_NUM_THREADS": "1", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
    environment["VLLM_CPU_KVCACHE_SPACE"] = "1"
    with (folder / "log").open("w+") as log:
        ended = subprocess.run(
            [sys.executable, "-c", script, str(folder)],
            env=environment, cwd=ROOT, stdout=log, stderr=log, timeout=400, check=False,
        )  # fmt: skip
        log.seek(0)
        assert ended.returncode == 0, log.read()[-6000:]
    answer: dict[str, Any] = json.loads((folder / "found.json").read_text())
    return answer


def main(folder: str) -> None:
    """Start, look, stop; in a process of its own."""
    import ray

    from serve_app.internals.ray_start import patient

    weights(Path(folder) / "model" / "1")
    patient()
    ray.init(address="local", num_cpus=4, include_dashboard=False, log_to_driver=False)
    try:
        seen = asyncio.run(_look(Path(folder) / "model"))
        (Path(folder) / "found.json").write_text(json.dumps(seen))
    finally:
        ray.shutdown()


def weights(folder: Path) -> None:
    """A Llama that was never trained, and whose tokens are bytes."""
    import tokenizers
    import torch
    import transformers

    bare = tokenizers.Tokenizer(tokenizers.models.BPE())
    bare.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    bare.decoder = tokenizers.decoders.ByteLevel()
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<|end|>"], initial_alphabet=alphabet, show_progress=False
    )
    bare.train_from_iterator(["a text", "another text"], trainer)
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=bare, bos_token="<|end|>", eos_token="<|end|>", model_max_length=CONTEXT
    )
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=64, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=2, max_position_embeddings=CONTEXT,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


async def _look(model: Path) -> dict[str, Any]:
    from serve_app.config import RemoteModel, parse
    from serve_app.internals.llm_server import Server
    from serve_app.internals.vllm_app import VllmApp
    from serve_app.llm.adapters import Adapters
    from serve_app.llm.application import settings
    from serve_app.llm.process import engine_class

    engine = {"dtype": "float32", "enforce_eager": True, "max_model_len": CONTEXT, "max_num_seqs": 4}
    engine["kv_cache_memory_bytes"] = 2**24
    about = {"modelFormat": "vllm", "storageUri": str(model), "engine": engine, "llm": ADAPTERS}
    config = parse(RemoteModel, {**about, "resources": {"num_cpus": CORES}})
    loads: list[str] = []

    class Noted(Server):
        async def load_adapter(self, load: Callable[[], Awaitable[None]]) -> None:
            loads.append(_kind(load))
            await load()

    server = Noted.__new__(Noted)
    own = settings(config, MODEL, str(model / "1"), fetch=True)
    adapters = partial(Adapters, ADAPTERS["adapterPath"])
    await server.__init__(own, engine_cls=engine_class(config), model_downloader=adapters)  # type: ignore[misc]
    app = await server.build_app()
    front = VllmApp(app)
    return await asyncio.wait_for(_questions(server, front, loads), 120)


def _kind(one: Any) -> str:
    return str(getattr(one, "__qualname__", type(one).__qualname__))


async def _questions(server: Any, front: Any, loads: list[str]) -> dict[str, Any]:
    import psutil
    from prometheus_client import REGISTRY

    from serve_app.llm.in_process import call

    added: list[str] = []
    wrapped: list[str] = []

    def around(app: Any) -> Any:
        async def noted(scope: Any, receive: Any, send: Any) -> None:
            wrapped.append(scope["path"])
            await app(scope, receive, send)

        return noted

    def until(function: Any) -> Any:
        async def noted(*args: Any, **kwargs: Any) -> Any:
            result = await function(*args, **kwargs)
            added.append(type(result).__name__)
            return result

        return noted

    def names() -> list[str]:
        return [one.cls.__name__ for one in front.asgi.user_middleware]

    async def post(path: str, **asked: Any) -> list[Any]:
        status, kind, *body = await _parts(call(front.asgi, path, json.dumps(asked).encode()))
        return [status, kind.decode(), b"".join(body).decode()]

    before = names()
    front.wrap(around, until)
    asked = {"model": MODEL, "prompt": "a", "max_tokens": 2}
    seen: dict[str, Any] = {
        "app": {
            "before": before,
            "after": names(),
            "adapters": front.adapters,
            "context": front.context,
            "tasks": list(await front.tasks()),
            "alive": front.alive,
            "answer": await post("/v1/completions", **asked),
            "streamed": await post("/v1/completions", **asked, stream=True),
            "refused": await post("/v1/completions", model="nobody", prompt="a"),
            "unmet": await _unmet(front, post, asked),
            "tokens": await _of_tokens(front, post, asked),
            "wrapped": wrapped,
            "added": added,
        },
        "server": {"loads_adapters": server.loads_adapters, "engine": _kind(server.engine)},
        "metrics": sorted({one.name for one in REGISTRY.collect() if one.name.startswith("vllm:")}),
    }
    seen["adapter"] = await _with_adapter(front, loads, call)
    below = psutil.Process().children(recursive=True)
    (core,) = [one for one in below if "EngineCore" in " ".join(one.cmdline())]
    seen["engine"] = {"threads": os.environ["OMP_NUM_THREADS"], "workers": _workers(core)}
    core.kill()
    for _ in range(300):
        if not front.alive:
            break
        await asyncio.sleep(0.1)
    seen["dead"] = {"alive": front.alive}
    return seen


async def _unmet(front: Any, post: Any, asked: dict[str, Any]) -> dict[str, Any]:
    """A pattern that fits nothing, a grammar that never ends, one that comes to an end of its way."""
    front.blame_constraints()
    constraints = {
        "pattern": {"regex": "[^\\s\\S]"},
        "grammar": {"grammar": "root ::= root"},
        "way": {"grammar": 'root ::= "a" [^\\u0000-\\U0010ffff]'},
    }
    return {
        name: [
            await post("/v1/completions", **asked, structured_outputs=one, stream=stream)
            for stream in (False, True)
        ]
        for name, one in constraints.items()
    }


async def _of_tokens(front: Any, post: Any, asked: dict[str, Any]) -> dict[str, Any]:
    front.tell_of_tokens("by_id")
    asked = {**asked, "prompt": ["ab", "c"], "return_token_ids": True, "logprobs": 2, "temperature": 0}
    ids = asked | {"return_tokens_as_token_ids": True}
    return {
        "plain": await post("/v1/completions", **asked),
        "whole": await post("/v1/completions", **ids),
        "streamed": await post("/v1/completions", **ids | {"prompt": "ab", "stream": True}),
    }


def _workers(core: Any) -> list[str]:
    titles = [" ".join(one.cmdline()) for one in core.children()]
    return [title for title in titles if "Worker" in title]


async def _with_adapter(front: Any, loads: list[str], call: Any) -> dict[str, Any]:
    """A request that Serve was told is for an adapter, which isn't there."""
    from ray.serve.context import _set_request_context

    async def ask() -> list[Any]:
        _set_request_context(multiplexed_model_id=f"{MODEL}:nobody")
        body = json.dumps({"model": f"{MODEL}:nobody", "prompt": "a"}).encode()
        try:
            status, _, *body = await _parts(call(front.asgi, "/v1/completions", body))
        except Exception as error:
            return [type(error).__name__, str(error)[:300]]
        return [status, b"".join(body).decode()[:300]]

    return {"answer": await asyncio.create_task(ask()), "loads": loads}


async def _parts(answer: Any) -> list[Any]:
    (status, kind), *body = [part async for part in answer]
    return [status, kind, *body]
