"""`tandem run`: Ray, Serve and a config on this machine, in the foreground, gone when it ends.

The environment is set before anything of Ray is imported: Ray reads most of it at import.
"""

import os
import shutil
import socket
import tempfile
from pathlib import Path
from typing import Any

import yaml

from serve_app.errors import ConfigError
from serve_app.tools.run.environment import environment
from serve_app.tools.run.serving import serve
from serve_app.tools.run.token import private_token
from serve_app.tools.stopping import everything_stopped


def run(path: Path, host: str | None, http_port: int | None, grpc_port: int | None, mode: str) -> int:
    """Serve until SIGINT or SIGTERM; everything started is stopped before this returns."""
    http, grpc = _addresses(path, host, http_port, grpc_port)
    # Its owner's alone, with everything of Ray's in it: sockets, logs, packages of runtime environments.
    scratch = Path(tempfile.mkdtemp(prefix="td-", dir=_tmp()))
    try:
        private_token()
        os.environ.update(environment(scratch, http["host"], mode))
        from serve_app.tools.check import load_checked

        config = load_checked(path)
        config["http_options"] = {**(config.get("http_options") or {}), **http}
        config["grpc_options"] = {**(config.get("grpc_options") or {}), **grpc}
        for name, port in (("HTTP_PORT", http["port"]), ("GRPC_PORT", grpc["port"])):
            _must_be_free(http["host"], port, name)
        with everything_stopped(scratch):
            return serve(config, path, scratch / "ray")
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _tmp() -> str:
    """A short one: Ray's sockets lie below it, and a socket's path has room for 107 characters."""
    return os.environ.get("RAY_TMPDIR") or "/tmp"  # noqa: S108 - a folder of a new name is made there


def _addresses(
    path: Path, host: str | None, http_port: int | None, grpc_port: int | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Command line over config file over defaults."""
    try:
        written = yaml.safe_load(path.read_text())
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from None
    options: dict[str, Any] = written if isinstance(written, dict) else {}
    http, grpc = options.get("http_options") or {}, options.get("grpc_options") or {}
    return (
        {"host": host or http.get("host") or "127.0.0.1", "port": http_port or http.get("port") or 8000},
        {"port": grpc_port or grpc.get("port") or 9000},
    )


def _must_be_free(host: str, port: int, name: str) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ConfigError(f"{host}:{port} can't be used ({error.strerror}); set {name}") from None
