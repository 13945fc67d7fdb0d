"""What vLLM takes: its engine's arguments, an adapter's, a request's parameters.

vLLM is imported when they are asked for; ConfigError says how to install it.
"""

import dataclasses
from typing import Any

from serve_app.runtimes.base import need


def engine_arguments() -> frozenset[str]:
    """Names of the engine's arguments."""
    arguments = need("vllm.engine.arg_utils", "llm").AsyncEngineArgs
    return frozenset(field.name for field in dataclasses.fields(arguments))


def adapter(**given: Any) -> Any:
    """An adapter that the engine has from its start. TypeError: `given` isn't its arguments."""
    return need("vllm.entrypoints.openai.models.protocol", "llm").LoRAModulePath(**given)


def request_parameters() -> list[str]:
    """Names of a completion request's fields."""
    protocol = need("vllm.entrypoints.openai.completion.protocol", "llm")
    return list(protocol.CompletionRequest.model_fields)
