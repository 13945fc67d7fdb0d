"""Two instances on one machine must not answer for each other."""

from pathlib import Path

import pytest

from serve_app.tools.run.environment import environment
from tests.server import Server


def replica_ports(variables: dict[str, str]) -> set[int]:
    name = "RAY_SERVE_DIRECT_INGRESS_{}_{}_PORT"
    ports: set[int] = set()
    for protocol in ("HTTP", "GRPC"):
        first, end = (int(variables[name.format(limit, protocol)]) for limit in ("MIN", "MAX"))
        assert end - first >= 50
        assert not ports & set(range(first, end + 1))
        ports |= set(range(first, end + 1))
    return ports


def test_replica_ports_are_never_shared(tmp_path: Path) -> None:
    """Replicas' gRPC servers bind with SO_REUSEPORT: the kernel would deal requests out to both."""
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    one, two = (replica_ports(environment(folder, "127.0.0.1", "high-throughput")) for folder in folders)
    assert not one & two


def test_a_server_that_cannot_start_says_why_and_leaves_nothing(tmp_path: Path) -> None:
    config = tmp_path / "wrong.yaml"
    config.write_text("applications: [{name: tandem, import_paht: serve_app.app:build_router}]\n")
    server = Server(config)
    with pytest.raises(RuntimeError, match="import_paht"), server:
        pass
    assert server.exit_code == 2
    assert not server.leftovers
