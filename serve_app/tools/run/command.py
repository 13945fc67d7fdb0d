"""`tandem run`: Ray, Serve and a config on this machine, in the foreground, gone when it ends.

The environment is set before anything of Ray is imported: Ray reads most of it at import.
"""

import os
import sys
from pathlib import Path
from typing import Any

from serve_app.addresses import all_free, authority, numeric
from serve_app.tools.guard import own_folder
from serve_app.tools.kube.documents import read
from serve_app.tools.kube.part import Part
from serve_app.tools.ray_token import own_token
from serve_app.tools.run.environment import environment, python_path
from serve_app.tools.run.serving import serve
from serve_app.tools.stopping import everything_stopped


def run(path: Path, host: str | None, http_port: int | None, grpc_port: int | None, mode: str) -> int:
    """Serve until SIGINT or SIGTERM; everything started is stopped before this returns."""
    http, grpc = _addresses(path, host, http_port, grpc_port)
    # Everything of Ray's is in it: sockets, logs, packages of runtime environments.
    with own_folder("td-", _tmp()) as scratch:
        own_token()  # before Ray makes one
        address = authority(http["host"], grpc["port"])
        os.environ.update(environment(scratch, address, mode), PYTHONPATH=python_path())
        from serve_app.tools.check import load_checked

        config = load_checked(path, tell=lambda text: print(text, file=sys.stderr, flush=True))
        config["http_options"] = {**(config.get("http_options") or {}), **http}
        config["grpc_options"] = {**(config.get("grpc_options") or {}), **grpc}
        all_free(http["host"], http_port=http["port"], grpc_port=grpc["port"])
        with everything_stopped():
            return serve(config, path, scratch)


def _tmp() -> str:
    """A short one: Ray's sockets lie below it, and a socket's path has room for 107 characters."""
    return os.environ.get("RAY_TMPDIR") or "/tmp"  # noqa: S108 - a folder of a new name is made there


def _addresses(
    path: Path, host: str | None, http_port: int | None, grpc_port: int | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Command line over config file over defaults."""
    options = Part((), next((one.data for one in read(path)), {}))
    where = numeric(host or options.text("http_options", "host") or "127.0.0.1")
    return (
        {"host": where, "port": _port(http_port, options, "http_options", 8000)},
        {"port": _port(grpc_port, options, "grpc_options", 9000)},
    )


def _port(said: int | None, options: Part, key: str, default: int) -> int:
    return said if said is not None else options.number(key, "port") or default
