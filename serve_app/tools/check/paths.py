"""Import paths of Tandem's own, as written or nearly so."""

import difflib
from typing import Any

ROUTER_PATH = "serve_app.app:build_router"
MODEL_PATH = "serve_app.app:build_model"
SERVICER = "serve_app.ingress.grpc.add_inference_service"
SERVICERS = (SERVICER, "serve_app.app.add_inference_service")


def is_path(given: Any, ours: str) -> bool:
    """Whether an import path is one of ours, in either of the forms that Ray takes."""
    return isinstance(given, str) and given.replace(":", ".") == ours.replace(":", ".")


def nearest(given: Any, known: tuple[str, ...] = (ROUTER_PATH, MODEL_PATH, *SERVICERS)) -> str:
    """The one of ours that is meant, '' where a path leads elsewhere."""
    if not isinstance(given, str):
        return ""
    top = given.replace(":", ".").partition(".")[0]
    if not difflib.get_close_matches(top, ["serve_app"], cutoff=0.75):
        return ""
    plain = {one.replace(":", "."): one for one in known}
    close = difflib.get_close_matches(given.replace(":", "."), plain, n=1, cutoff=0.75)
    return plain[close[0]] if close else ""


def parts(path: Any) -> tuple[str, str] | None:
    """Module and name, of a path in either form; None where it is none."""
    if not isinstance(path, str):
        return None
    module, _, name = path.partition(":") if ":" in path else path.rpartition(".")
    return (module, name) if ":" not in name and all((*module.split("."), name)) else None
