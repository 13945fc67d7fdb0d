"""Which Ray a command speaks to: the one it is told, or the last `tandem run` on this machine."""

import contextlib
import json
import os
import urllib.error
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from serve_app.errors import ConfigError
from serve_app.tools.dashboard import Dashboard, Refused
from serve_app.tools.ray_token import token

DEFAULT = "http://127.0.0.1:8265"
_NOTE = "run.json"


@dataclass(frozen=True)
class Cluster:
    """A Ray's dashboard and its token ('' for none), and of a `tandem run` the folder it runs in."""

    url: str
    token: str = ""
    folder: str = ""


@dataclass(frozen=True)
class Run:
    """A `tandem run`: its process and when that began, what it serves, how it is spoken to."""

    pid: int
    began: float
    url: str
    token: str
    folder: str
    config: str


def note(scratch: Path, url: str, token: str, config: Path) -> None:
    """Let other commands find this process's Ray as long as it runs. They must be its user's."""
    pid = os.getpid()
    began = psutil.Process(pid).create_time()
    run = Run(pid, began, url, token, os.getcwd(), str(config.resolve()))
    file = os.open(scratch / _NOTE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(file, "w") as out:
        json.dump(asdict(run), out)


def runs(*folders: Path) -> list[Run]:
    """Those of this user that run, the newest first; `folders` are where `tandem run` keeps its own."""
    found = []
    places = folders or {Path("/tmp"), Path(os.environ.get("RAY_TMPDIR") or "/tmp")}  # noqa: S108
    for path in (path for place in places for path in place.glob(f"td-*/{_NOTE}")):
        with contextlib.suppress(OSError, ValueError, TypeError, psutil.Error):
            if path.stat().st_uid != os.getuid() or path.is_symlink():
                continue
            run = Run(**json.loads(path.read_text()))
            if psutil.Process(run.pid).create_time() == run.began:
                found.append(run)
    return sorted(found, key=lambda run: -run.began)


def find(
    address: str | None,
    config: Path | None = None,
    env: Mapping[str, str] = os.environ,
    running: list[Run] | None = None,
) -> Cluster:
    """The one at `address`, else the one that Ray's variables name, else the last `tandem run`.

    Of several the one that serves `config`. ConfigError when a variable leads nowhere.
    """
    running = runs() if running is None else running
    url = _url(address or env.get("RAY_DASHBOARD_ADDRESS") or _named(env))
    if not url:
        serving = [run for run in running if config and run.config == str(config.resolve())]
        url = next((run.url for run in [*serving, *running]), DEFAULT)
    run = next((run for run in running if _same(run.url, url)), None)
    own = env.get("RAY_AUTH_TOKEN") or (run.token if run else token(env))
    return Cluster(url, own, run.folder if run else "")


def ask(cluster: Cluster) -> tuple[Dashboard, dict[str, Any]]:
    """Its dashboard, and what that says of Serve. ConfigError: it can't be asked."""
    dashboard = Dashboard(cluster.url, cluster.token)
    try:
        return dashboard, dashboard.serve()
    except urllib.error.HTTPError as error:
        if error.code in (401, 403):
            raise ConfigError(
                f"{cluster.url} refuses the token: set RAY_AUTH_TOKEN (KubeRay's is in the secret of "
                "the cluster's name, key auth_token)"
            ) from None
        raise ConfigError(f"{cluster.url} answers {error.code}: is that Ray's dashboard?") from None
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"no dashboard at {cluster.url} ({error}): --address, or is Ray running?"
        ) from None


def deploy(dashboard: Dashboard, config: dict[str, Any], what: Path) -> None:
    """Hand a config over. ConfigError: it isn't taken, and why."""
    try:
        dashboard.deploy(config)
    except Refused as error:
        raise ConfigError(f"Serve refuses {what}: {error}") from None
    except OSError as error:
        raise ConfigError(f"Ray's dashboard at {dashboard.url} doesn't take it: {error}") from None


def _url(address: str) -> str:
    return address if "://" in address or not address else f"http://{address}"


def _same(one: str, other: str) -> bool:
    return one.replace("localhost", "127.0.0.1").rstrip("/") == (
        other.replace("localhost", "127.0.0.1").rstrip("/")
    )


def _named(env: Mapping[str, str]) -> str:
    """By RAY_API_SERVER_ADDRESS or RAY_ADDRESS, which may also be that of Ray itself."""
    address = env.get("RAY_API_SERVER_ADDRESS") or env.get("RAY_ADDRESS") or ""
    if not address or address == "local" or address.startswith(("http://", "https://")):
        return "" if address == "local" else address
    from serve_app.internals.ray_dashboard import dashboard_of

    try:
        return dashboard_of(address)
    except Exception as error:
        raise ConfigError(f"RAY_ADDRESS is {address}, and no Ray answers there: {error}") from None
