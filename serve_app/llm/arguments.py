"""vLLM's arguments and a model's source, as Ray's LLM library takes them."""

from functools import cache
from pathlib import Path
from typing import Any

from serve_app.config import Versions, did_you_mean
from serve_app.errors import ConfigError
from serve_app.internals.vllm_arguments import adapter, engine_arguments
from serve_app.repository.storage import Held, hold, local_path

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
_kept: list[Held] = []  # of adapters: an engine may read them again at any time


def checked(engine: dict[str, Any], fetch: bool = False) -> dict[str, Any]:
    """`engine` in vLLM's types; ConfigError names what this vLLM doesn't know.

    `fetch`: whether adapters that aren't on this machine are to be.
    """
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
                adapter(**{**one, "path": _adapter(one["path"], fetch)}) for one in adapters
            ]
        except (TypeError, KeyError) as error:
            raise ConfigError(
                f"engine.lora_modules: a list of {{name, path}} is wanted: {error}"
            ) from None
    return values


def _adapter(uri: str, fetch: bool) -> str:
    if local_path(uri) is None and not fetch:
        return uri
    held = hold(uri, "latest")
    _kept.append(held)
    return str(newest(held)[1])


def _meant(name: str, known: frozenset[str]) -> str:
    hint = did_you_mean(name.replace("-", "_").lower(), known)
    return hint if hint.startswith("; did") else "; `vllm serve --help` lists them"


@cache
def _known() -> frozenset[str]:
    return engine_arguments() | set(FRONT)


def described(uri: str, versions: Versions) -> str:
    """Where the engine will find the model, as far as can be said before it is fetched.

    ConfigError where it can't be there.
    """
    path = local_path(uri)
    return str(newest(hold(uri, one_of(versions)))[1]) if path else ""


def one_of(versions: Versions) -> Versions:
    """An engine has one version: the newest of those that are wanted."""
    if not isinstance(versions, list):
        return "latest"
    return [max(versions, key=int)] if versions else versions


def newest(held: Held) -> tuple[str, Path]:
    """Its version and folder; ConfigError where it can't be had."""
    for why in held.missing.values():
        raise ConfigError(why)
    return list(held.folders.items())[-1]
