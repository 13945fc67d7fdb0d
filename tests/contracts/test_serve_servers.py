"""The two servers that Serve runs in a replica, and the hooks that come before Serve in them."""

import inspect

from ray.serve._private.grpc_util import gRPCGenericServer
from ray.serve._private.http_util import RequestIdMiddleware, configure_http_middlewares
from ray.serve.config import HTTPOptions
from starlette.middleware import Middleware

from tests.contracts.inside import Look


def test_middlewares_come_from_the_import_path(monkeypatch):
    name = "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH"
    path = "tests.contracts.inside:middlewares"
    monkeypatch.setattr(f"ray.serve._private.http_util.{name}", path)
    (ours,) = configure_http_middlewares(HTTPOptions(middlewares=[])).middlewares
    assert isinstance(ours, Middleware)
    assert ours.cls is Look


def test_serve_s_own_middleware_keeps_what_it_wraps():
    async def app(scope, receive, send): ...

    assert RequestIdMiddleware(app)._app is app


def test_send_is_uvicorn_s_own(live):
    kind = "uvicorn.protocols.http.httptools_impl.RequestResponseCycle"
    assert live("model", "server", "send") == kind


def test_grpc_functions_are_called_in_the_event_loop_of_the_user_code(live):
    assert live("grpc", "loop") is True


def test_grpc_service_handler_factory_is_a_method_of_the_replica(live):
    assert live("grpc", "replica") == "Replica"


def test_grpc_passthrough_services(live):
    assert live("grpc", "passthrough") is None


def test_grpc_registered_method_handlers(live):
    assert live("grpc", "registered") is None


def test_grpc_server_takes_what_we_give():
    inspect.signature(gRPCGenericServer.add_passthrough_service).bind(object(), "a.Service")
    inspect.signature(gRPCGenericServer.add_generic_rpc_handlers).bind(object(), ())
    inspect.signature(gRPCGenericServer.add_registered_method_handlers).bind(object(), "a", {})
