"""Asking a Ray through its dashboard and its HTTP port."""

import contextlib
import importlib.metadata
import urllib.error

from serve_app.tools import clusters, routers
from serve_app.tools.dashboard import Dashboard
from serve_app.tools.doctor.causes import Json, Snapshot


def from_ray(address: str | None) -> Snapshot:
    """A Ray whose dashboard is at `address`, else as `clusters.find`. ConfigError: it can't be asked."""
    dashboard, serve = clusters.ask(clusters.find(address))
    return Snapshot("Serve", ray={"serve": serve, **_version(dashboard), **_models(serve)})


def _version(dashboard: Dashboard) -> Json:
    """Whether the cluster's Ray is the one that Tandem is locked to."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        theirs, ours = dashboard.get("/api/version")["ray_version"], importlib.metadata.version("ray")
        if theirs != ours:
            return {"mismatch": f"the cluster runs Ray {theirs}, this Tandem is locked to {ours}"}
    return {}


def _models(serve: Json) -> Json:
    """What the Routers say at the port that Serve names, if they say anything."""
    url = routers.url_of(serve)
    if not serve.get("applications"):
        return {}
    try:
        if routers.get(f"{url}/v2").get("name") != "tandem":
            return {"http": f"{url}/v2 is another server's"}
        return {"index": routers.index(url), "changes": routers.changes(url, serve)}
    except urllib.error.HTTPError as error:
        return {"http": f"{url}/v2 answers {error.code}"}
    except (OSError, ValueError, AttributeError) as error:
        return {"http": f"{url}/v2: {error}"}
