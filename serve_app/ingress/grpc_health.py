"""gRPC's own health service: of the whole, of the V2 service, and of each model by its name.

Kubernetes' `grpc:` probes ask it. That a name isn't known is an error for who checks, and a status
that may change for who watches.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

from google.protobuf.descriptor import ServiceDescriptor

from serve_app.config import Limits
from serve_app.core.dataplane import DataPlane
from serve_app.errors import InvalidArgument, NotFound, TooLarge
from serve_app.ingress.grpc_answers import Raw, failed, within
from serve_app.protocol import grpc_codec
from serve_app.protocol import health_pb2 as pb

HEALTH: ServiceDescriptor = pb.DESCRIPTOR.services_by_name["Health"]
V2 = "inference.GRPCInferenceService"

_LOOK_S = 0.5
_SERVING, _NOT = pb.HealthCheckResponse.SERVING, pb.HealthCheckResponse.NOT_SERVING
_UNKNOWN = pb.HealthCheckResponse.SERVICE_UNKNOWN


class Health:
    """The RPCs: bytes in, bytes out."""

    plane: DataPlane
    limits: Callable[[], Limits]

    async def Check(self, request: bytes, grpc_context: Any) -> Raw:  # noqa: N802
        try:
            service = self._service(request)
            status = self._status(service)
            if status == _UNKNOWN:
                raise NotFound(f"no service or model '{service[:80]}'")
        except (InvalidArgument, NotFound, TooLarge) as error:
            return failed(error, grpc_context)
        return _response(status)

    async def List(self, request: bytes, grpc_context: Any) -> Raw:  # noqa: N802
        """Each name and its status."""
        try:
            self._parsed(pb.HealthListRequest(), request)
        except (InvalidArgument, TooLarge) as error:
            return failed(error, grpc_context)
        response = pb.HealthListResponse()
        for name in ("", V2, *self.plane.directory.models):
            response.statuses[name].status = self._status(name)
        return Raw(response.SerializeToString())

    async def Watch(self, request: bytes, grpc_context: Any) -> AsyncIterator[Raw]:  # noqa: N802
        """The status now, and each that follows, until the client has enough."""
        try:
            service = self._service(request)
        except (InvalidArgument, TooLarge) as error:
            failed(error, grpc_context)
            return
        known = None
        while True:
            if (status := self._status(service)) != known:
                known = status
                yield _response(status)
            await asyncio.sleep(_LOOK_S)

    def _parsed(self, empty: Any, request: bytes) -> Any:
        within(request, self.limits().max_body_bytes)
        return grpc_codec.parse(empty, request)

    def _service(self, request: bytes) -> str:
        return str(self._parsed(pb.HealthCheckRequest(), request).service)

    def _status(self, service: str) -> Any:
        if service in ("", V2):
            return _SERVING if self.plane.ready else _NOT
        try:
            return _SERVING if self.plane.model_ready(service) else _NOT
        except NotFound:
            return _UNKNOWN


def _response(status: Any) -> Raw:
    return Raw(pb.HealthCheckResponse(status=status).SerializeToString())
