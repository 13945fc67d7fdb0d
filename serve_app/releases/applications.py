"""Which models the cluster serves: every Serve application that holds a ModelReplica is one,
under the application's name. Pure reading of Serve's details."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from serve_app.core.later import AGAIN
from serve_app.redact import redacted
from serve_app.releases.live import digest

REPLICA = "ModelReplica"
ROUTER = "Router"
TOKENIZER = "Tokenizer"
# Of replicas that take requests.
_ANSWERS = ("RUNNING", "UPDATING", "RECOVERING", "PENDING_MIGRATION")
_PYDANTIC = "For further information visit"


@dataclass(frozen=True, slots=True)
class RemoteApp:
    """One application, and the model whose versions it has. `stamp` changes with a deploy.

    `ingress` is the deployment to call; '' where there is none yet. `replicas` names those that run;
    `trying` is what one that can't start for now says beside them.
    `explains`: another model, of which this one says why it answers as it does.
    """

    name: str
    ingress: str
    status: str
    message: str
    running: int
    stamp: float
    model: str
    versions: tuple[str, ...] = ()  # those that it lists
    replicas: frozenset[str] = field(default=frozenset(), compare=False)
    trying: str = field(default="", compare=False)
    explains: str = ""

    @property
    def settled(self) -> bool:
        """Deployed and not changing: what it says of itself now will hold."""
        return self.status == "RUNNING"

    @property
    def says(self) -> str:
        """How it is, by Serve's word."""
        return f"its application is {self.status}" + (f": {self.message}" if self.message else "")

    @property
    def waits(self) -> bool:
        """Nothing of it runs yet: what it needs isn't there for now, and it will try again."""
        return not self.running and AGAIN in self.message

    def slots(self, in_flight: int) -> tuple[int, int]:
        """Batches in flight to all replicas together, and how many of them wait there for their turn.

        A model at zero takes one replica's worth. `in_flight`: what one replica may hold.
        """
        replicas = max(self.running, 1)
        return replicas * in_flight, replicas

    @property
    def failed(self) -> bool:
        """Its last deployment failed and nothing of it answers."""
        return self.status == "DEPLOY_FAILED" and not self.running

    @property
    def down(self) -> bool:
        """Its replicas died; Serve is starting new ones."""
        return self.status == "UNHEALTHY" and not self.running


def remote_apps(applications: Mapping[str, Any]) -> dict[str, RemoteApp]:
    """The applications that are or may be models, those being deleted left out."""
    apps = {}
    for name, app in applications.items():
        status, deployments = _text(app["status"]), app["deployments"]
        replica = deployments.get(REPLICA)
        if status == "DELETING" or (deployments and not replica):
            continue
        ingress = TOKENIZER if TOKENIZER in deployments else REPLICA
        all_of_them = replica["replicas"] if replica else ()
        running = [one["replica_id"] for one in all_of_them if _text(one["state"]) == "RUNNING"]
        apps[name] = RemoteApp(
            name=name,
            ingress=ingress if replica else "",
            status=status,
            message=cause(replica["message"] if replica and replica["message"] else app["message"]),
            running=len(running),
            stamp=app["last_deployed_time_s"],
            model=str(arguments(app).get("model") or name),
            versions=_versions(arguments(app).get("versions")),
            replicas=frozenset(running),
            explains=str(arguments(app).get("explains") or ""),
        )
    return apps


def changing(application: Mapping[str, Any]) -> bool:
    """Whether Serve is about to change the application: what is deployed isn't all there yet."""
    return _text(application.get("status")) == "DEPLOYING"


def routers(application: Mapping[str, Any]) -> set[str]:
    """The names of an application's Routers that take requests, or are being told another config."""
    replicas = (application.get("deployments") or {}).get(ROUTER, {}).get("replicas") or ()
    return {one["replica_id"] for one in replicas if _text(one["state"]) in _ANSWERS}


def said(applications: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """By the model's name, the applications that have it, each with a digest of its arguments."""
    found: dict[str, dict[str, str]] = {}
    for name, app in remote_apps(applications).items():
        found.setdefault(app.model, {})[name] = digest(arguments(applications[name]))
    return found


def runs(application: Mapping[str, Any]) -> bool:
    """Whether something of the application answers."""
    return any(
        _text(replica["state"]) == "RUNNING"
        for deployment in (application.get("deployments") or {}).values()
        for replica in deployment["replicas"]
    )


def arguments(application: Mapping[str, Any]) -> Mapping[str, Any]:
    """Those that it was deployed with; {} where Serve doesn't give them."""
    return (application.get("deployed_app_config") or {}).get("args") or {}


def _versions(listed: object) -> tuple[str, ...]:
    return tuple(map(str, listed)) if isinstance(listed, list) else ()


def _text(value: object) -> str:
    """Serve's enumerations by their values."""
    return str(value.value if isinstance(value, Enum) else value)


def cause(message: str) -> str:
    """The root of a status message: the error at the end of its traceback, in one line."""
    lines = [line for line in message.splitlines() if line.strip() and _PYDANTIC not in line]
    if not lines:
        return ""
    # What goes on below an error's first line is indented.
    start = max((at for at, line in enumerate(lines) if not line[0].isspace()), default=-1)
    text = " ".join(line.strip() for line in lines[start:])
    return redacted(text.removeprefix("serve_app.errors.").removeprefix("ConfigError: "))
