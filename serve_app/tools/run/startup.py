"""What is waited for while Serve starts a config's applications, and what is said of it."""

import re
from collections.abc import Collection, Container, Mapping, Sequence
from typing import Any

from serve_app.errors import NOT_HERE
from serve_app.tools.serve_names import model_of, named
from serve_app.tools.serve_says import UNDER_WAY, why

PATIENCE_S = 30  # Serve itself finds a start long after that, and then says what it waits for
_SILENCE_S = 10  # so much longer is its word waited for
_NUMBERS = re.compile(r"\{.*?\}")

Apps = Mapping[str, Mapping[str, Any]]


class Startup:
    """Serve's applications from when they were deployed until each runs or has failed.

    `router` is the application that takes requests, '' where a config has none.
    """

    def __init__(self, router: str) -> None:
        self._router = router
        self._said: dict[str, str] = {}
        self.waiting: dict[str, str] = {}  # those under way, and why; '' where Serve has no word for it

    def look(self, apps: Apps, seconds: float) -> list[str]:
        """What is new to say, so many seconds after the deployment."""
        apps = {name: app for name, app in apps.items() if app["status"] != "DELETING"}
        self.waiting = {name: why(app) for name, app in apps.items() if app["status"] in UNDER_WAY}
        lines = []
        for name, app in apps.items():
            text = self._text(name, app, seconds)
            # What is free in the cluster changes all the time.
            if text and self._said.get(name) != (said := _NUMBERS.sub("", text)):
                self._said[name] = said
                lines.append(text)
        return lines

    def _text(self, name: str, app: Mapping[str, Any], seconds: float) -> str:
        if name in self.waiting:
            reason = self.waiting[name] or "Serve doesn't say why"
            return (
                f"application '{name}' is still {app['status']}: {reason}" if self._long(seconds) else ""
            )
        if app["status"] == "RUNNING":
            return f"application '{name}' runs now" if name in self._said else ""
        found = [app.get("message"), *(one.get("message") for one in app["deployments"].values())]
        return f"application '{name}' is {app['status']}: " + "\n".join(filter(None, found))

    def _long(self, seconds: float) -> bool:
        known = all(self.waiting.values())
        return seconds >= (PATIENCE_S if known else PATIENCE_S + _SILENCE_S)

    def serves(self, apps: Apps, seconds: float) -> bool:
        """Whether it is time to say what is served: all of it, or what there is after a while."""
        if not apps or (self.waiting and not self._long(seconds)):
            return False
        if self._router not in apps:
            return not self.waiting
        return bool(apps[self._router]["status"] == "RUNNING")

    def lost(self, apps: Apps) -> bool:
        """Whether nothing can be served: the Router failed."""
        status = (apps.get(self._router) or {}).get("status", "DEPLOYING")
        return status not in ("RUNNING", *UNDER_WAY)


def explained_models(config: dict[str, Any], waiting: Container[str]) -> frozenset[str]:
    """The models that explainers of a config need, but for those whose applications are waited for."""
    apps = list(named(config))
    late = {model_of(name, one) for name, one in apps if name in waiting}
    named_by = ((one.get("args") or {}).get("explains") for _, one in apps)
    return frozenset(map(str, filter(None, named_by))) - late


def settled(
    index: Sequence[Mapping[str, str]], waiting: Container[str], explained: Collection[str]
) -> bool:
    """Whether every model is what it will be without anybody asking for it. A Router may know an
    explainer before one that is `explained`, without which it can't answer.
    """
    names = {row["name"] for row in index}
    return (
        bool(names)
        and names.issuperset(explained)
        and all(
            row["state"] == "READY" or row["reason"] == NOT_HERE or row["name"] in waiting
            for row in index
        )
    )
