"""gRPC's reflection, of which clients speak either version: what the server's services look like.

Serve's own looks into the default descriptor pool, which our stubs stay out of, because other
packages' stubs of the same names are there.
"""

from collections.abc import Iterable
from typing import Any

import grpc
from google.protobuf import json_format
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha import reflection, reflection_pb2

_ALPHA = "grpc.reflection.v1alpha"
_V1 = "grpc.reflection.v1"
SERVICES = (reflection.SERVICE_NAME, f"{_V1}.ServerReflection")


def add_reflection(server: Any, services: Iterable[str], files: Iterable[Any]) -> None:
    """Both versions, about `services`, which `files` (descriptors) describe, and about themselves."""
    names = (*services, *SERVICES)
    servicer = reflection.aio.ReflectionServicer(names, pool=_pool(files))
    # The messages of both versions are the same on the wire.
    handlers = {
        "ServerReflectionInfo": grpc.stream_stream_rpc_method_handler(
            servicer.ServerReflectionInfo,
            request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
            response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
        )
    }
    for name in SERVICES:
        if hasattr(server, "add_passthrough_service"):  # Serve's: answer here, not in a replica
            server.add_passthrough_service(name)
        generic = grpc.method_handlers_generic_handler(name, handlers)
        server.add_generic_rpc_handlers((generic,))
        server.add_registered_method_handlers(name, handlers)


def _pool(files: Iterable[Any]) -> DescriptorPool:
    pool = DescriptorPool()
    alpha = FileDescriptorProto()
    reflection_pb2.DESCRIPTOR.CopyToProto(alpha)
    text = json_format.MessageToJson(alpha).replace(_ALPHA, _V1)
    v1 = json_format.Parse(
        text.replace(alpha.name, "grpc/reflection/v1/reflection.proto"), type(alpha)()
    )
    for data in (alpha.SerializeToString(), v1.SerializeToString()):
        pool.AddSerializedFile(data)
    for file in files:
        pool.AddSerializedFile(file.serialized_pb)
    return pool
