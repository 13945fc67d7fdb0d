"""tritonclient.grpc."""

import queue

import tritonclient.grpc as grpc
from driver import main, pack, unpack
from tritonclient.utils import InferenceServerException


def infer_arguments(case):
    """A case as the keyword arguments of `infer`, the same in the sync and the aio client."""
    inputs = []
    for tensor in case["inputs"]:
        entry = grpc.InferInput(tensor["name"], tensor["shape"], tensor["datatype"])
        inputs.append(entry.set_data_from_numpy(unpack(tensor)))
    outputs = case.get("outputs")
    if outputs is not None:
        classes = case.get("classes", 0)
        outputs = [grpc.InferRequestedOutput(name, class_count=classes) for name in outputs]
    return {
        "model_name": case["model"],
        "model_version": case.get("version", ""),
        "inputs": inputs,
        "outputs": outputs,
        "request_id": case.get("id", ""),
        "parameters": case.get("parameters"),
    }


def answer(result):
    """A result of either client."""
    said = result.get_response()
    return {
        "id": said.id,
        "model_name": said.model_name,
        "model_version": said.model_version,
        "outputs": [pack(output.name, result.as_numpy(output.name)) for output in said.outputs],
    }


class TritonGrpc:
    failure = InferenceServerException

    def __init__(self, _, address):
        self.client = grpc.InferenceServerClient(address)

    def surfaced(self, error):
        return error.status(), error.message()

    def infer(self, case):
        compression = case.get("compress_in")
        return answer(self.client.infer(**infer_arguments(case), compression_algorithm=compression))

    def async_infer(self, case):
        done = queue.Queue()
        self.client.async_infer(
            **infer_arguments(case), callback=lambda result, error: done.put((result, error))
        )
        result, error = done.get(timeout=60)
        if error is not None:
            raise error
        return answer(result)

    def stream(self, case):
        done = queue.Queue()
        self.client.start_stream(lambda result, error: done.put((result, error)))
        for request in case["requests"]:
            self.client.async_stream_infer(**infer_arguments(request))
        answers = [done.get(timeout=60) for _ in case["requests"]]
        self.client.stop_stream()
        return [
            answer(result) if error is None else {"error": error.message()} for result, error in answers
        ]

    def live(self, case):
        return self.client.is_server_live()

    def ready(self, case):
        return self.client.is_server_ready()

    def model_ready(self, case):
        return self.client.is_model_ready(case["model"], case.get("version", ""))

    def server_metadata(self, case):
        return self.client.get_server_metadata(as_json=True)

    def model_metadata(self, case):
        return self.client.get_model_metadata(case["model"], case.get("version", ""), as_json=True)

    def model_config(self, case):
        return self.client.get_model_config(case["model"], case.get("version", ""), as_json=True)

    def statistics(self, case):
        return self.client.get_inference_statistics(
            case.get("model", ""), case.get("version", ""), as_json=True
        )

    def repository_index(self, case):
        return self.client.get_model_repository_index(as_json=True)

    def load(self, case):
        return self.client.load_model(case["model"])

    def unload(self, case):
        return self.client.unload_model(case["model"])

    def register_shared_memory(self, case):
        return self.client.register_system_shared_memory("region", "/key", 16)

    def trace_settings(self, case):
        return self.client.get_trace_settings(as_json=True)

    def close(self):
        return self.client.close()


if __name__ == "__main__":
    main(TritonGrpc)
