"""A service of Anyscale's: applications of Serve's, among keys that only Anyscale's deploy reads."""

from typing import Any
from urllib.parse import urlparse

from serve_app.tools.kube.documents import apart, get, items
from serve_app.tools.kube.findings import Problem

# Keys that say whose file it is. The others of its own could be one of Serve's in the wrong place.
_MARKS = (
    "image_uri", "containerfile", "compute_config", "cloud", "project", "registry_login_secret",
    "query_auth_token_enabled", "ray_gcs_external_storage_config",
)  # fmt: skip
_OWN = (
    *_MARKS, "name", "working_dir", "excludes", "requirements", "env_vars", "py_modules",
    "py_executable", "ray_version", "version_name", "tags", "connections", "priority",
)  # fmt: skip
_FIX = "without them, and with the image, the packages and the code on the Ray cluster's own machines"


def service(data: dict[str, Any]) -> Problem | None:
    """That a file is one, instead of a sentence for each of its keys."""
    if not isinstance(data.get("applications"), list) or not any(key in data for key in _MARKS):
        return None
    *most, last = (key for key in data if key in _OWN)
    named = f"{', '.join(most)} and {last} are" if most else f"{last} is"
    what = f"a service of Anyscale's, no Serve config: {named} for `anyscale service deploy`"
    return Problem((), what, "Serve drops it without a word", _FIX)


def of_serve(data: dict[str, Any]) -> dict[str, Any]:
    """What is Serve's in one, without this machine's folders, which Anyscale's deploy uploads."""
    left: dict[str, Any] = apart({key: value for key, value in data.items() if key not in _OWN})
    for app in items(left, "applications"):
        env = get(app, "runtime_env")
        if not isinstance(env, dict):
            continue
        if _is_here(env.get("working_dir")):
            del env["working_dir"]
        if isinstance(modules := env.get("py_modules"), list):
            env["py_modules"] = [one for one in modules if not _is_here(one)]
    return left


def _is_here(path: Any) -> bool:
    return isinstance(path, str) and not urlparse(path).scheme
