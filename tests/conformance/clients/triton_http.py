"""tritonclient.http."""

import tritonclient.http as http
from driver import main, pack, unpack
from tritonclient.utils import InferenceServerException


def infer_arguments(case):
    """A case as the keyword arguments of `infer`, the same in the sync and the aio client."""
    inputs = []
    for tensor in case["inputs"]:
        entry = http.InferInput(tensor["name"], tensor["shape"], tensor["datatype"])
        inputs.append(entry.set_data_from_numpy(unpack(tensor), binary_data=case.get("binary_in", True)))
    outputs = case.get("outputs")
    binary = case.get("binary_out", True)
    if outputs is not None:
        classes = case.get("classes", 0)
        outputs = [
            http.InferRequestedOutput(name, binary_data=binary, class_count=classes) for name in outputs
        ]
    return {
        "model_name": case["model"],
        "model_version": case.get("version", ""),
        "inputs": inputs,
        "outputs": outputs,
        "request_id": case.get("id", ""),
        "parameters": case.get("parameters"),
        "request_compression_algorithm": case.get("compress_in"),
        "response_compression_algorithm": case.get("compress_out"),
    }


def answer(result):
    """A result of either client."""
    said = result.get_response()
    return {
        **{key: said.get(key) for key in ("id", "model_name", "model_version")},
        "outputs": [pack(output["name"], result.as_numpy(output["name"])) for output in said["outputs"]],
    }


class TritonHttp:
    failure = InferenceServerException

    def __init__(self, url, _):
        self.client = http.InferenceServerClient(url.removeprefix("http://"))

    def surfaced(self, error):
        return error.status(), error.message()

    def infer(self, case):
        return answer(self.client.infer(**infer_arguments(case)))

    def async_infer(self, case):
        return answer(self.client.async_infer(**infer_arguments(case)).get_result())

    def live(self, case):
        return self.client.is_server_live()

    def ready(self, case):
        return self.client.is_server_ready()

    def model_ready(self, case):
        return self.client.is_model_ready(case["model"], case.get("version", ""))

    def server_metadata(self, case):
        return self.client.get_server_metadata()

    def model_metadata(self, case):
        return self.client.get_model_metadata(case["model"], case.get("version", ""))

    def model_config(self, case):
        return self.client.get_model_config(case["model"], case.get("version", ""))

    def statistics(self, case):
        return self.client.get_inference_statistics(case.get("model", ""), case.get("version", ""))

    def repository_index(self, case):
        return self.client.get_model_repository_index()

    def load(self, case):
        return self.client.load_model(case["model"])

    def unload(self, case):
        return self.client.unload_model(case["model"])

    def register_shared_memory(self, case):
        return self.client.register_system_shared_memory("region", "/key", 16)

    def trace_settings(self, case):
        return self.client.get_trace_settings()

    def close(self):
        return self.client.close()


if __name__ == "__main__":
    main(TritonHttp)
