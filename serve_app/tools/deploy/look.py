"""What is there at one moment."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from serve_app.tools import routers
from serve_app.tools.serve_names import Json


@dataclass(frozen=True)
class Look:
    """What Serve says of itself, and what its Routers say: `unheard` why they say nothing."""

    serve: Json
    changes: Mapping[str, Json] = field(default_factory=dict)
    index: list[dict[str, str]] = field(default_factory=list)
    unheard: str = ""

    @property
    def applications(self) -> Json:
        """Serve's, by name."""
        found: Json = self.serve.get("applications") or {}
        return found

    @property
    def unloaded(self) -> set[str]:
        """The models that somebody unloaded: a deploy that doesn't change them leaves them so."""
        return {row["name"] for row in self.index if not row["version"] and row["reason"] == "unloaded"}

    def config(self, name: str) -> Json:
        """What was last deployed as an application; {} for none."""
        found: Json = (self.applications.get(name) or {}).get("deployed_app_config") or {}
        return found


def look(serve: Json, url: str) -> Look:
    """Ask the Routers, which are at `url` or else where Serve says."""
    url = url or routers.url_of(serve)
    try:
        return Look(serve, routers.changes(url, serve), routers.index(url))
    except (OSError, ValueError, KeyError, TypeError) as error:
        return Look(serve, unheard=f"the Routers can't be asked at {url} ({error})")
