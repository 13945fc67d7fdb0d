"""What a deployment still waits for. Pure."""

from serve_app.core.later import AGAIN
from serve_app.releases.applications import remote_apps
from serve_app.tools.deploy.look import Look
from serve_app.tools.serve_names import Json, model_of, named, router_of
from serve_app.tools.serve_says import UNDER_WAY, why

_STAMP = "last_deployed_time_s"


def pending(config: Json, now: Look) -> dict[str, str]:
    """Application by application, why it isn't known yet what becomes of it. Empty: all is settled."""
    found = {}
    for name, application in named(config):
        app = now.applications.get(name)
        if app is None:
            found[name] = "Serve doesn't know it yet"
        elif app["status"] in UNDER_WAY:
            said = _for_now(model_of(name, application), now) or why(app)
            found[name] = said or f"it is {app['status']}"
        elif reason := _followed(name, application, now):
            found[name] = reason
    for name, app in now.applications.items():
        if app["status"] == "DELETING" and name not in found:
            found[name] = "it is being removed"
    return found


def _for_now(model: str, now: Look) -> str:
    """Why one can't start for now, which tries again, by the Routers' word."""
    reasons = (row["reason"] for row in now.index if row["name"] == model)
    return next((reason for reason in reasons if AGAIN in reason), "")


def _followed(name: str, application: Json, now: Look) -> str:
    """Why the Routers don't serve what Serve has."""
    app = now.applications[name]
    if app["status"] != "RUNNING" or not now.changes:
        return ""
    if router_of(application) is not None:
        if any(one.get("deployed", app[_STAMP]) != app[_STAMP] for one in now.changes.values()):
            return "the Router hasn't looked at its models' files yet"
        settled = all(one["settled"] for one in now.changes.values())
        return "" if settled else "its models are being loaded"
    known = remote_apps({name: app}).get(name)
    if known is None or known.model in now.unloaded:  # no model of ours, or one that nobody serves
        return ""
    asked = [(one["applications"].get(name) or {}).get("deployed") for one in now.changes.values()]
    return "" if set(asked) == {known.stamp} else "the Router hasn't asked it yet what it is"
