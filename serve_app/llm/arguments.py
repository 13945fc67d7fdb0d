"""vLLM's arguments and a model's source, as Ray's LLM library takes them."""

from functools import cache
from importlib import import_module
from typing import Any

from serve_app.config import BUCKETS, Versions, did_you_mean
from serve_app.errors import ConfigError
from serve_app.internals.vllm_arguments import adapter, engine_arguments
from serve_app.repository.storage import local_folder
from serve_app.repository.versions import version_folders

# Of vLLM's front end, what shapes answers; the rest belongs to a server of its own.
FRONT = (
    "lora_modules", "chat_template", "chat_template_content_format", "default_chat_template_kwargs",
    "response_role", "return_tokens_as_token_ids", "enable_auto_tool_choice",
    "exclude_tools_when_tool_choice_none", "tool_call_parser", "tool_parser_plugin",
    "enable_prompt_tokens_details", "enable_force_include_usage", "sse_keep_alive_interval",
    "trust_request_chat_template", "enable_per_request_metrics",
)  # fmt: skip
_OURS = {
    "model": "storageUri says where the model is",
    "served_model_name": "the application's name is the model's name",
}
_HUB = "hf://"


def checked(engine: dict[str, Any]) -> dict[str, Any]:
    """`engine` in vLLM's types; ConfigError names what this vLLM doesn't know."""
    known = _known()
    for name in engine:
        if name in _OURS:
            raise ConfigError(f"engine.{name}: not here, {_OURS[name]}")
        if name not in known:
            raise ConfigError(f"engine.{name}: no argument of vLLM's engine{_meant(name, known)}")
    values = dict(engine)
    if adapters := engine.get("lora_modules"):
        try:
            values["lora_modules"] = [
                adapter(**{**one, "path": str(local_folder(one["path"]))}) for one in adapters
            ]
        except (TypeError, KeyError) as error:
            raise ConfigError(
                f"engine.lora_modules: a list of {{name, path}} is wanted: {error}"
            ) from None
    return values


def _meant(name: str, known: frozenset[str]) -> str:
    hint = did_you_mean(name.replace("-", "_").lower(), known)
    return hint if hint.startswith("; did") else "; `vllm serve --help` lists them"


@cache
def _known() -> frozenset[str]:
    return engine_arguments() | set(FRONT)


def reachable(uri: str) -> str:
    """`uri`, of a bucket; ConfigError names the package that it needs."""
    scheme = uri.partition("://")[0]
    for module in BUCKETS[scheme]:
        try:
            import_module(module)
        except ImportError:
            package = module.replace(".", "-")
            raise ConfigError(f"{uri}: {scheme}:// needs the Python package {package}") from None
    return uri


def source(uri: str, versions: Versions) -> tuple[str, str]:
    """Where the engine finds the model, and its version: the newest folder's number, else 1."""
    if uri.startswith(_HUB):
        return uri.removeprefix(_HUB).strip("/"), "1"
    if uri.partition("://")[0] in BUCKETS:
        return reachable(uri), "1"
    folders = version_folders(local_folder(uri), versions)
    version, folder = list(folders.items())[-1]
    return str(folder), version
