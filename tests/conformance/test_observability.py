"""What operators see of a request: a JSON log line and Ray's metrics."""

import json

from prometheus_client.parser import text_string_to_metric_families

from serve_app.protocol import inference_pb2 as pb
from tests.serve.live import paths, until

X = {"name": "x", "shape": [1], "datatype": "FP32", "data": [1]}
TEXT = {"name": "text", "shape": [1], "datatype": "BYTES", "data": ["a text"]}


def log_line(server, request_id: str) -> dict[str, object]:
    """The line about a request; Ray puts the process's name before what a worker prints."""

    def find() -> str:
        return next((line for line in server.text().splitlines() if f'"id":"{request_id}"' in line), "")

    line = until(find, f"a log line about {request_id}", 30)
    return json.loads(line[line.index("{") :])


def test_one_json_line_per_request(server):
    with server.http() as client:
        client.post("/v2/models/identity/infer", json={"id": "seen-well", "inputs": [X]})
        client.post("/v2/models/digits/infer", json={"id": "seen-failing", "inputs": [X]})
    line = log_line(server, "seen-well")
    assert (line["model"], line["version"], line["status"]) == ("identity", "1", "OK")
    assert line["ms"] > 0
    assert log_line(server, "seen-failing")["status"] == "InvalidArgument"


def test_a_request_that_cannot_be_decoded_is_logged_too(server):
    path = "/v2/models/identity/versions/1/infer"
    before = server.text().count('"status":"InvalidArgument"')
    with server.http() as client:
        assert client.post(path, content=b"{").status_code == 400
    until(lambda: server.text().count('"status":"InvalidArgument"') > before, "a log line", 30)


def test_metrics_per_model_and_version(server):
    with server.http() as client:
        client.post("/v2/models/identity/infer", json={"inputs": [X]})
        client.post("/v2/models/digits/infer", json={"inputs": [X]})
        client.post("/v2/models/sentences/infer", json={"inputs": [TEXT]})
    wanted = ("ray_request_count", "ray_request_errors", "ray_request_predict_seconds_bucket")

    def found() -> bool:
        page = server.metrics()
        return all(name in page for name in wanted)

    until(found, "the metrics on Ray's page", 60, every=0.5)
    page = server.metrics()
    for name in ("model_inference_seconds", "model_batch_size", "request_queue_seconds"):
        assert f"ray_{name}_count" in page
    errors = [line for line in page.splitlines() if line.startswith("ray_request_errors")]
    assert any('kind="InvalidArgument"' in line and 'model_name="digits"' in line for line in errors)
    served = [line for line in page.splitlines() if line.startswith("ray_request_count")]
    assert any('model_name="identity"' in line and 'model_version="1"' in line for line in served)


def test_which_way_requests_take_is_counted_by_transport(server, channel):
    """Fast wherever there is a fast path: a detail of Ray's that is missing shows here.

    Requests are sent until they are seen: Ray hands on what came since its last report, and a report
    that takes longer than half of its interval is lost. That none of ours is, is a unit test's to show.
    """
    before = paths(server)
    entry = {"name": "x", "datatype": "FP32", "shape": [1], "contents": {"fp32_contents": [1]}}
    message = pb.ModelInferRequest(model_name="identity", inputs=[entry]).SerializeToString()
    service = "/inference.GRPCInferenceService/"

    def send(client) -> None:
        assert client.post("/v2/models/identity/infer", json={"inputs": [X]}).status_code == 200
        assert channel.unary_unary(service + "ModelInfer")(message)
        assert channel.unary_unary(service + "ServerReady")(b"")
        assert len(list(channel.stream_stream(service + "ModelStreamInfer")(iter([message])))) == 1
        assert client.post("/v2/models/sentences/infer", json={"inputs": [TEXT]}).status_code == 200

    way = "fast" if server.mode == "high-throughput" else "serve"
    # From the Tokenizer on there is one way, and nothing is counted.
    least = {("http", way): 6, ("grpc", way): 9, ("batches", way): 3}

    def more() -> dict[tuple[str, str], float]:
        return {key: count - before.get(key, 0) for key, count in paths(server).items()}

    def seen(client) -> bool:
        send(client)
        return all(more().get(key, 0) >= count for key, count in least.items())

    with server.http() as client:
        for _ in range(3):
            send(client)
        until(lambda: seen(client), "the counts", 60, every=0.5)
    other = "serve" if way == "fast" else "fast"
    assert {key: count for key, count in more().items() if key[1] == other and count} == {}


def test_the_router_says_which_configuration_it_serves(server):
    def said() -> list[float]:
        families = text_string_to_metric_families(server.metrics())
        return [s.value for f in families for s in f.samples if s.name == "ray_router_generation"]

    assert until(said, "the generation on Ray's page", 60, every=0.5) == [1]


def test_histograms_are_as_prometheus_makes_them(server):
    with server.http() as client:
        for _ in range(3):
            assert client.post("/v2/models/identity/infer", json={"inputs": [X]}).status_code == 200

    def values(name: str) -> dict[tuple[str, str], list[tuple[str, float]]]:
        """By replica and version; what a scrape has of them belongs together."""
        found: dict[tuple[str, str], list[tuple[str, float]]] = {}
        for family in text_string_to_metric_families(server.metrics()):
            for sample in family.samples:
                labels = sample.labels
                if sample.name == f"ray_{name}" and labels["model_name"] == "identity":
                    key = labels["replica"], labels["model_version"]
                    found.setdefault(key, []).append((labels.get("le", ""), sample.value))
        return found

    def whole() -> bool:
        return sum(one[0][1] for one in values("request_predict_seconds_count").values()) >= 3

    until(whole, "three requests on Ray's page", 60, every=0.5)
    for buckets in values("request_predict_seconds_bucket").values():
        ordered = sorted(buckets, key=lambda one: float(one[0]))
        assert [bound for bound, _ in ordered][:: len(ordered) - 1] == ["0.0005", "+Inf"]
        counts = [count for _, count in ordered]
        assert counts == sorted(counts)
        assert counts[-1] >= 1
    for sums in values("request_predict_seconds_sum").values():
        assert sums[0][1] > 0  # what failed before it was begun took no time, and isn't in it


def test_batches_take_the_fast_path_and_are_counted(server):
    with server.http() as client:
        assert client.post("/v2/models/sentences/infer", json={"inputs": [TEXT]}).status_code == 200
    # Serve gives no route to calls by its handles.
    route = "predict" if server.mode == "high-throughput" else ""
    wanted = ("ray_serve_deployment_request_counter", 'deployment="Tokenizer"', f'route="{route}"')

    def counted() -> bool:
        return any(all(part in line for part in wanted) for line in server.metrics().splitlines())

    until(counted, "the Tokenizer's requests", 60, every=0.5)
    if route == "":
        assert 'route="predict"' not in server.metrics()
