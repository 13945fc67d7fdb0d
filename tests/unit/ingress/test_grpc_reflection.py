"""Reflection, by either version's name, tells a client enough to call everything."""

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_reflection.v1alpha import reflection_pb2 as rpb

from serve_app.config import Limits
from serve_app.ingress.grpc import Servicer, add_inference_service
from tests.unit.planes import plane

ALPHA, V1 = "grpc.reflection.v1alpha.ServerReflection", "grpc.reflection.v1.ServerReflection"
SERVICES = {ALPHA, V1, "inference.GRPCInferenceService", "grpc.health.v1.Health"}


@pytest.fixture(params=[ALPHA, V1])
async def ask(request):
    """Asks a server of grpc.aio's one question."""
    server = grpc.aio.server()
    add_inference_service(Servicer(plane(), Limits), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stream = channel.stream_stream(
            f"/{request.param}/ServerReflectionInfo",
            rpb.ServerReflectionRequest.SerializeToString,
            rpb.ServerReflectionResponse.FromString,
        )

        async def one(**question):
            (answer,) = [found async for found in stream([rpb.ServerReflectionRequest(**question)])]
            return answer

        yield one
    await server.stop(None)


async def test_all_services_are_listed_and_described(ask):
    listed = (await ask(list_services="")).list_services_response.service
    assert {one.name for one in listed} == SERVICES
    for name in SERVICES:
        package, _, service = name.rpartition(".")
        files = (await ask(file_containing_symbol=name)).file_descriptor_response
        (file,) = map(FileDescriptorProto.FromString, files.file_descriptor_proto)
        assert file.package == package
        (found,) = (one for one in file.service if one.name == service)
        for method in found.method:  # and every message that it takes or gives
            for kind in (method.input_type, method.output_type):
                about = await ask(file_containing_symbol=kind.lstrip("."))
                assert about.file_descriptor_response.file_descriptor_proto


async def test_what_is_not_there_is_not_found(ask):
    answer = await ask(file_containing_symbol="inference.Nothing")
    assert answer.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]
