"""Prints every message of ours and of tritonclient's as JSON, from one process that loads both."""

import importlib
import json
import sys

OURS, THEIRS = "serve_app.protocol.inference_pb2", "tritonclient.grpc"


def fields(descriptor) -> dict:
    found = {}
    for message in descriptor:
        found[message.full_name] = {
            field.name: [
                field.number,
                field.type,
                bool(field.is_repeated),
                field.containing_oneof.name if field.containing_oneof else "",
                (field.message_type or field.enum_type).full_name
                if field.message_type or field.enum_type
                else "",
            ]
            for field in message.fields
        }
        found |= fields(message.nested_types)
    return found


def main(order: list[str]) -> None:
    for name in order:
        importlib.import_module(name)
    ours = importlib.import_module(OURS)
    from tritonclient.grpc import model_config_pb2, service_pb2

    def whole(*files) -> dict:
        descriptors = [file.DESCRIPTOR for file in files]
        return {
            "messages": fields([m for d in descriptors for m in d.message_types_by_name.values()]),
            "enums": {
                name: {value.name: value.number for value in enum.values}
                for d in descriptors
                for name, enum in d.enum_types_by_name.items()
            },
            "methods": {
                method.name: [
                    method.input_type.full_name,
                    method.output_type.full_name,
                    method.client_streaming,
                    method.server_streaming,
                ]
                for d in descriptors
                for service in d.services_by_name.values()
                for method in service.methods
            },
        }

    request = ours.ModelInferRequest(model_name="m", id="é")
    assert service_pb2.ModelInferRequest.FromString(request.SerializeToString()).id == "é"
    assert service_pb2.DESCRIPTOR.pool is not ours.DESCRIPTOR.pool
    print(json.dumps({"ours": whole(ours), "theirs": whole(service_pb2, model_config_pb2)}))


if __name__ == "__main__":
    main({"ours": [OURS, THEIRS], "theirs": [THEIRS, OURS]}[sys.argv[1]])
