"""HAProxy's configuration as Serve's own code writes it."""

from pathlib import Path

from ray.serve._private.common import RequestProtocol
from ray.serve._private.haproxy import HAProxyApi, HAProxyConfig, HAProxyManager
from ray.serve.config import HTTPOptions, gRPCOptions
from ray.serve.schema import Target, TargetGroup

from tests.contracts.live import MAXCONN

HTTP, GRPC = RequestProtocol.HTTP, RequestProtocol.GRPC
_FUNCTION = "serve_app.ingress.grpc.add_inference_service"


def group(app: str, protocol: RequestProtocol, *ports: int, route: str = "/") -> TargetGroup:
    """What the controller tells HAProxy's actor of one application's replicas."""
    targets = [
        Target(ip="127.0.0.1", port=port, instance_id="", name=f"SERVE_REPLICA::{app}#Router#{port}")
        for port in ports
    ]
    return TargetGroup(
        targets=targets, route_prefix=route, protocol=protocol, app_name=app,
        ingress_deployment_name="Router",
    )  # fmt: skip


def rendered(
    folder: Path, *groups: TargetGroup, http_port: int, grpc_port: int, other: tuple[int, int],
    host: str = "0.0.0.0",
) -> Path:  # fmt: skip
    """The file; `other` are the ports of HAProxy's metrics and statistics."""
    metrics_port, stats_port = other
    config = HAProxyConfig(
        http_options=HTTPOptions(host=host, port=http_port),
        grpc_options=gRPCOptions(port=grpc_port, grpc_servicer_functions=[_FUNCTION]),
        socket_path=str(folder / "admin.sock"),
        server_state_base=str(folder),
        server_state_file=str(folder / "server-state"),
        metrics_socket_path=str(folder / "metrics.sock"),
        metrics_port=metrics_port,
        stats_port=stats_port,
        metrics_enabled=False,
        is_head=True,
        nbthread=1,
        maxconn=MAXCONN,
    )
    kind = HAProxyManager.__ray_metadata__.modified_class
    manager = kind.__new__(kind)  # no actor
    manager._node_ip_address = "127.0.0.1"
    backends = [manager._create_backend_config(one, None) for one in groups]
    file = folder / "haproxy.cfg"
    api = HAProxyApi(cfg=config, config_file_path=str(file))
    api.set_backend_configs({one.name: one for one in backends})
    api._generate_config_file_internal()
    return file
