"""A Serve config without a mistake, and ways to make one."""

from pathlib import Path

ROOT = Path(__file__).parents[4]
GOOD = """\
http_options: {host: 127.0.0.1}
grpc_options:
  port: 9000
  grpc_servicer_functions:
    - serve_app.ingress.grpc.add_inference_service
applications:
  - name: tandem
    route_prefix: /
    import_path: serve_app.app:build_router
    args: {maxOngoingRequests: 100}
    deployments:
      - name: Router
        max_ongoing_requests: 64
        ray_actor_options:
          num_cpus: 1
        user_config:
          models:
            - name: one
              modelFormat: onnx
              storageUri: models/one
              batching:
                maxBatchSize: 32
              inputs:
                - name: x
                  datatype: FP32
                  shape: [-1, 4]
          routing:
            one: {defaultVersion: "1"}
            two:
              defaultVersion: "2"
  - name: two
    route_prefix: null
    import_path: serve_app.app:build_model
    args:
      modelFormat: transformers
      storageUri: models/two
      options: {task: embedding}
      batching: {maxBatchSize: 64}
      resources:
        num_gpus: 1
    deployments:
      - name: ModelReplica
        user_config:
          batching:
            maxBatchSize: 16
"""


def changed(old: str, new: str) -> str:
    assert GOOD.count(old) == 1, old
    return GOOD.replace(old, new)


def line_of(text: str, part: str) -> int:
    (number,) = [n for n, line in enumerate(text.splitlines(), 1) if part in line]
    return number
