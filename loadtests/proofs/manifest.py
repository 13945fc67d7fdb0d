"""The RayService of the proofs: the repository's own, small enough for two clusters on one machine."""

import copy
from typing import Any

import yaml

from loadtests.servers import ROOT

WORKERS = 2
_REMOTE = "digits-remote"


def manifest(models: str = str(ROOT)) -> dict[str, Any]:
    """Two workers, on each a Router with an inline model and a replica of a remote one.

    `models` is the folder that `.models` is in, where the nodes run.
    """
    found: dict[str, Any] = yaml.safe_load((ROOT / "rayservice.yaml").read_text())
    spec = found["spec"]
    spec["rayClusterDeletionDelaySeconds"] = 5  # KubeRay's 60 would only make it longer
    groups = spec["rayClusterConfig"]["workerGroupSpecs"]
    spec["rayClusterConfig"]["workerGroupSpecs"] = groups[:1]
    groups[0] |= {"replicas": WORKERS, "minReplicas": WORKERS, "maxReplicas": WORKERS}
    config = yaml.safe_load(spec["serveConfigV2"])
    config["applications"] = [_router(config["applications"][0]), _remote(models)]
    return with_config(found, config)


def _router(app: dict[str, Any]) -> dict[str, Any]:
    (router,) = app["deployments"]
    router.pop("autoscaling_config", None)
    router |= {"num_replicas": WORKERS, "max_replicas_per_node": 1}
    models = router["user_config"]["models"]
    router["user_config"]["models"] = [model for model in models if model["name"] == "identity"]
    router["user_config"]["logging"] = {"requests": False}
    return app


def _remote(folder: str) -> dict[str, Any]:
    models = yaml.safe_load((ROOT / "configs/quickstart.yaml").read_text())["applications"][0]
    (digits,) = (m for m in models["deployments"][0]["user_config"]["models"] if m["name"] == "digits")
    args = {key: value for key, value in digits.items() if key != "name"}
    args["storageUri"] = f"{folder}/{args['storageUri']}"
    args |= {"replicas": WORKERS, "resources": {"num_cpus": 1}}
    deployment = {"name": "ModelReplica", "max_replicas_per_node": 1}
    return {
        "name": _REMOTE,
        "route_prefix": None,
        "import_path": "serve_app.app:build_model",
        "args": args,
        "deployments": [deployment],
    }


def config_of(found: dict[str, Any]) -> dict[str, Any]:
    """Its serveConfigV2."""
    config: dict[str, Any] = yaml.safe_load(found["spec"]["serveConfigV2"])
    return config


def with_config(found: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
    """A copy with another serveConfigV2."""
    changed = copy.deepcopy(found)
    changed["spec"]["serveConfigV2"] = yaml.safe_dump(config, sort_keys=False)
    return changed
