"""What Ray is told to call, by paths in texts."""

import importlib
from pathlib import Path

from serve_app.internals import grpc_servers, ray_start


def test_the_paths_lead_to_functions(tmp_path: Path) -> None:
    variables = ray_start.on_loopback_by_hooks(tmp_path)
    found = []
    for path in (value for value in variables.values() if value.startswith("serve_app.")):
        module, _, name = path.rpartition(".")
        found.append(getattr(importlib.import_module(module), name))
    assert found == [ray_start.on_loopback, grpc_servers.fence]
    assert str(tmp_path) in variables.values()
