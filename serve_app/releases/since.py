"""What holds of applications from one look at Serve's status to the next. Pure."""

from collections.abc import Mapping

from serve_app.releases.applications import RemoteApp


def down_since(
    before: Mapping[str, float], applications: Mapping[str, RemoteApp], now: float
) -> dict[str, float]:
    """Since when each application that is down now has been."""
    return {name: before.get(name, now) for name, app in applications.items() if app.down}


def refusals(before: Mapping[str, str], applications: Mapping[str, RemoteApp]) -> dict[str, str]:
    """Why the last deployment of each application failed, until a later one is accepted."""
    return {
        name: reason
        for name, app in applications.items()
        if (reason := _refusal(app) or ("" if app.settled else before.get(name, "")))
    }


def _refusal(app: RemoteApp) -> str:
    if app.status == "DEPLOY_FAILED":
        return app.says
    return f"its application is {app.status}: {app.trying}" if app.trying else ""
