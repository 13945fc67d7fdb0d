"""vLLM's own HTTP application, as Ray's LLM server builds it."""

from collections.abc import Callable
from typing import Any

# Makes metrics and headers that end here: the Router counts for itself, and passes no headers on.
_UNREAD = ("PrometheusInstrumentatorMiddleware", "CORSMiddleware")
_FITS_NOTHING = (
    "the schema, grammar, pattern or choice that the answer has to fit "
    "(response_format, structured_outputs, tools) can't be compiled, or nothing fits it"
)


class VllmApp:
    """The application and, behind it, the engine's client."""

    def __init__(self, app: Any) -> None:
        self.asgi = app
        self._client = app.state.engine_client

    @property
    def alive(self) -> bool:
        """Whether the engine runs; Serve's health checks come later to the same."""
        return not self._client.errored

    @property
    def adapters(self) -> list[str]:
        """The adapters that the engine has."""
        return list(self.asgi.state.openai_serving_models.lora_requests)

    @property
    def context(self) -> int:
        """The longest prompt with its answer, in tokens."""
        return int(self._client.model_config.max_model_len)

    async def tasks(self) -> tuple[str, ...]:
        """What the model does: generate, embed and so on."""
        return tuple(await self._client.get_supported_tasks())

    def blame_constraints(self) -> None:
        """A grammar that can't be compiled, or fits nothing, is the client's fault: 400 and not 500.

        vLLM says of both that a generation ended in an error. It says the same of a failed transfer
        between engines: where there are such, its word stands.
        """
        from vllm.exceptions import VLLMValidationError

        if self._client.vllm_config.kv_transfer_config is not None:
            return

        def blamed(finish_reason: str | None, request_id: str) -> None:
            if finish_reason == "error":
                raise VLLMValidationError(_FITS_NOTHING)

        for name in ("openai_serving_chat", "openai_serving_completion"):
            if (serving := getattr(self.asgi.state, name, None)) is not None:
                serving._raise_if_error = blamed

    def tell_of_tokens(self, key: str) -> None:
        """Who asks for tokens as their ids gets all that is known of each beside them, under `key`.

        By id: how likely it was, its rank and its text; OpenAI's form has the first alone.
        """
        serving = getattr(self.asgi.state, "openai_serving_completion", None)
        if serving is None:  # it embeds
            return
        plain = serving._create_completion_logprobs

        def told(*, top_logprobs: Any, return_as_token_id: bool | None = None, **more: Any) -> Any:
            made = plain(top_logprobs=top_logprobs, return_as_token_id=return_as_token_id, **more)
            if return_as_token_id:
                setattr(made, key, [_known(position) for position in top_logprobs])
            return made

        serving._create_completion_logprobs = told

    def wrap(
        self, around: Callable[[Any], Any], until: Callable[[Callable[..., Any]], Callable[..., Any]]
    ) -> None:
        """Put `around` about the application, and `until` about what gives the engine a request.

        To be called before the first request. What nobody reads is taken out.
        """
        app, client = self.asgi, self._client
        app.user_middleware = [one for one in app.user_middleware if one.cls.__name__ not in _UNREAD]
        app.add_middleware(around)
        client.add_request = until(client.add_request)


def _known(position: Any) -> dict[str, dict[str, Any]] | None:
    """Of one token's place. JSON has no infinity: vLLM writes such a one as -9999, too."""
    if position is None:
        return None
    return {
        str(token): {
            "logprob": max(one.logprob, -9999.0),
            "rank": one.rank,
            "decoded_token": one.decoded_token,
        }
        for token, one in position.items()
    }
