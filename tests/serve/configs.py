"""Serve configs for tests: a router with inline models and one application per remote model."""

from pathlib import Path
from typing import Any

import yaml


def router(*models: dict[str, Any], **user: Any) -> dict[str, Any]:
    """The routed application; keywords go into its user_config."""
    user_config = {
        "models": list(models),
        "logging": {"requests": False},
        "discoveryInterval": 0.2,
        **user,
    }
    return {
        "name": "tandem",
        "route_prefix": "/",
        "import_path": "serve_app.app:build_router",
        "deployments": [
            {"name": "Router", "ray_actor_options": {"num_cpus": 0.5}, "user_config": user_config}
        ],
    }


def python(name: str, **extra: Any) -> dict[str, Any]:
    """An inline model of tests/serve/models.py."""
    return {
        "name": name.lower(),
        "modelFormat": "python",
        "class": f"tests.serve.models:{name}",
        **extra,
    }


def remote(app: str, name: str, **extra: Any) -> dict[str, Any]:
    """An application around a model of tests/serve/models.py."""
    args = {
        "modelFormat": "python",
        "class": f"tests.serve.models:{name}",
        "resources": {"num_cpus": 0.1},
    }
    return {
        "name": app,
        "route_prefix": None,
        "import_path": "serve_app.app:build_model",
        "args": {**args, **extra},
    }


def write(path: Path, *applications: dict[str, Any]) -> Path:
    """A whole config file."""
    config = {
        "http_options": {"host": "127.0.0.1"},
        "grpc_options": {
            "grpc_servicer_functions": ["serve_app.ingress.grpc.add_inference_service"],
            "enable_reflection": False,
        },
        "logging_config": {"enable_access_log": False},
        "applications": list(applications),
    }
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    return path
