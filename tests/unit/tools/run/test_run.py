"""What `tandem run` tells Ray of the host, and says of a machine that is too small."""

import subprocess
import sys
from pathlib import Path

import pytest

from serve_app.errors import ConfigError
from serve_app.tools.run.command import _addresses
from serve_app.tools.run.environment import environment
from serve_app.tools.run.room import without_room
from tests.unit.tools.check.configs import ROOT

NODE, PUBLIC = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "TANDEM_GRPC_ADDRESS"


@pytest.mark.parametrize(
    ("address", "local"),
    [
        ("127.0.0.1:9000", True), ("127.0.0.2:9000", True), ("[::1]:9000", True),
        ("0.0.0.0:9000", False), ("10.1.2.3:9000", False), ("[::]:9000", False),
    ],
)  # fmt: skip
@pytest.mark.parametrize("mode", ["high-throughput", "default"])
def test_every_loopback_address_stays_one(tmp_path: Path, address: str, local: bool, mode: str) -> None:
    found = environment(tmp_path, address, mode)
    assert (found.get(NODE), found.get(PUBLIC)) == (("0", address) if local else (None, None))
    if mode == "high-throughput":  # HAProxy's other ports are narrowed too
        wrapper = Path(found["RAY_SERVE_HAPROXY_BINARY_PATH"]).read_text()
        assert (" narrow " in wrapper) is local


@pytest.mark.parametrize(
    ("config", "host", "found"),
    [
        ("{}", None, ("127.0.0.1", 8000, 9000)),
        ("http_options: {host: 127.0.0.2, port: 81}", None, ("127.0.0.2", 81, 9000)),
        ("http_options: {host: 127.0.0.2}\ngrpc_options: {port: 91}", "::1", ("::1", 8000, 91)),
        (
            "http_options: 3\ngrpc_options: {port: many}",
            None,
            ("127.0.0.1", 8000, 9000),
        ),  # `check` says so
    ],
)
def test_the_command_line_goes_over_the_file(
    tmp_path: Path, config: str, host: str | None, found: tuple[str, int, int]
) -> None:
    (tmp_path / "a.yaml").write_text(config)
    http, grpc = _addresses(tmp_path / "a.yaml", host, None, None)
    assert (http["host"], http["port"], grpc["port"]) == found
    http, grpc = _addresses(tmp_path / "a.yaml", host, 1, 2)
    assert (http["port"], grpc["port"]) == (1, 2)
    http, grpc = _addresses(tmp_path / "a.yaml", host, 0, 0)  # refused later, and not passed over
    assert (http["port"], grpc["port"]) == (0, 0)


def test_a_file_that_is_no_yaml_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a: 1\nb: [\n")
    with pytest.raises(ConfigError, match=r"a.yaml:3: not valid YAML"):
        _addresses(tmp_path / "a.yaml", None, None, None)
    with pytest.raises(ConfigError, match="No such file"):
        _addresses(tmp_path / "none.yaml", None, None, None)


def test_a_replica_that_no_machine_of_this_size_holds() -> None:
    model = {
        "name": "big", "route_prefix": None, "import_path": "serve_app.app:build_model",
        "args": {"modelFormat": "python", "class": "a:B", "resources": {"num_cpus": 64, "num_gpus": 1}},
    }  # fmt: skip
    small = {**model, "name": "small", "args": {"modelFormat": "python", "class": "a:B"}}
    found = list(without_room({"applications": [model, small]}, {"CPU": 4.0, "memory": 1e9}))
    assert len(found) == 2
    assert all("application big" in line and "stays DEPLOYING" in line for line in found)
    assert "num_cpus 64, and this machine has 4" in found[0]
    assert "num_gpus 1, and this machine has 0" in found[1]


def test_ray_reads_the_environment_that_was_made_for_it() -> None:
    """It does so at import: nothing may import it before the environment is made."""
    code = "import serve_app.tools.run.command, sys; sys.exit('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
