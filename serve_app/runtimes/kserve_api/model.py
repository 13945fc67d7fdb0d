"""`kserve.Model`, for classes that put something before and behind a model of this service."""

import argparse
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from enum import Enum
from typing import Any

# How the model behind is asked, for the request that is being answered.
PREDICT: ContextVar[Callable[[Any], Awaitable[Any]]] = ContextVar("predict")
EXPLAIN: ContextVar[Callable[[Any], Awaitable[Any]]] = ContextVar("explain")  # the same, why


class PredictorProtocol(Enum):
    """What a predictor is asked in."""

    REST_V1 = "v1"
    REST_V2 = "v2"
    GRPC_V2 = "grpc-v2"


class PredictorConfig:
    """Where the predictor is, which is this very service, and what it is asked in."""

    def __init__(
        self,
        predictor_host: str,
        predictor_protocol: str = "v1",
        predictor_use_ssl: bool = False,
        predictor_request_timeout_seconds: int = 600,
        predictor_request_retries: int = 0,
        predictor_health_check: bool = False,
    ) -> None:
        self.predictor_host = predictor_host
        self.predictor_protocol = self.protocol = predictor_protocol
        self.predictor_use_ssl = self.use_ssl = predictor_use_ssl
        self.predictor_request_timeout_seconds = self.timeout = predictor_request_timeout_seconds
        self.predictor_request_retries = self.retries = predictor_request_retries
        self.predictor_health_check = predictor_health_check
        self.predictor_base_url = f"http{'s' * predictor_use_ssl}://{predictor_host}"


class Model:
    """To be derived from. `predictor_config` is there once it is made."""

    predictor_config: PredictorConfig | None = None

    def __init__(self, name: str, return_response_headers: bool = False) -> None:
        self.name, self.ready = name, False
        self.required_response_headers = return_response_headers

    def load(self) -> bool:
        self.ready = True
        return self.ready

    async def preprocess(self, payload: Any, headers: dict[str, str] | None = None) -> Any:
        return payload

    async def predict(
        self,
        payload: Any,
        headers: dict[str, str] | None = None,
        response_headers: dict[str, str] | None = None,
    ) -> Any:
        """What the model behind answers."""
        return await PREDICT.get()(payload)

    async def postprocess(
        self,
        result: Any,
        headers: dict[str, str] | None = None,
        response_headers: dict[str, str] | None = None,
    ) -> Any:
        return result


class Explained:
    """Behind a transformer's class, which so inherits `explain`, as KServe's do. No method of Model,
    as it would make an explainer of a class that has none.
    """

    async def explain(self, payload: Any, headers: dict[str, str] | None = None) -> Any:
        """What the explainer of the model behind answers."""
        return await EXPLAIN.get()(payload)


def arguments() -> argparse.ArgumentParser:
    """Those of KServe's server that modules read when they are imported: all as they are by default."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    texts = {"model_name": "model", "predictor_host": None, "protocol": "v1", "predictor_protocol": "v1"}
    for name, value in texts.items():
        parser.add_argument(f"--{name}", default=value)
    for name, number in {"workers": 1, "http_port": 8080, "grpc_port": 8081}.items():
        parser.add_argument(f"--{name}", default=number, type=int)
    for name in ("predictor_use_ssl", "configure_logging"):
        parser.add_argument(f"--{name}", default=False, type=bool)
    parser.add_argument("--log_config_file", default=None)
    return parser


class ModelServer:
    """Named in a module's last lines, which run as a program alone."""

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def start(self, models: Any) -> None:
        raise RuntimeError("a transformer is served by Tandem: name its class, don't run its module")
