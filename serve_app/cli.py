"""`tandem check | models | run`. Deploying to a running cluster is Ray's own `serve deploy`."""

import argparse
import sys
from pathlib import Path

from serve_app.errors import ConfigError


def main(arguments: list[str] | None = None) -> int:
    """Entry point. 0 when all went well, 2 when the configuration is at fault."""
    parser = argparse.ArgumentParser(prog="tandem", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    check = commands.add_parser("check", help="find what is wrong with a Serve config, with lines")
    check.add_argument("config", type=Path, nargs="+")

    models = commands.add_parser("models", help="build the demo models")
    models.add_argument("folder", type=Path, nargs="?", default=Path(".models"))

    run = commands.add_parser("run", help="serve a config on this machine until interrupted")
    run.add_argument("config", type=Path)
    run.add_argument("--host", default=None, help="default 127.0.0.1; other hosts open Ray's ports too")
    run.add_argument("--http-port", type=int, default=None)
    run.add_argument("--grpc-port", type=int, default=None)
    run.add_argument("--mode", choices=["high-throughput", "default"], default="high-throughput")

    local = commands.add_parser("local", help="run a RayService manifest here, as KubeRay would")
    local.add_argument("manifest", type=Path)
    local.add_argument("--host", default="127.0.0.1", help="of the services (default 127.0.0.1)")
    local.add_argument("--http-port", type=int, default=8000)
    local.add_argument("--grpc-port", type=int, default=9000)
    local.add_argument("--dashboard-port", type=int, default=8265)
    local.add_argument("--containers", metavar="RUN", help="nodes in containers, by `podman run` say")
    local.add_argument("--state-file", type=Path, help="where to write the status, as JSON")

    options = parser.parse_args(arguments)
    try:
        if options.command == "check":
            from serve_app.check import load_checked

            for path in options.config:
                load_checked(path)
                print(f"{path}: fine")
        elif options.command == "models":
            from serve_app.demo.build import build

            fresh = build(options.folder)
            print(f"demo models {'built' if fresh else 'are there already'}: {options.folder}")
        elif options.command == "local":
            from serve_app.local.command import run as run_local

            ports = (options.http_port, options.grpc_port, options.dashboard_port)
            return run_local(
                options.manifest, options.host, ports, options.state_file, options.containers
            )
        else:
            from serve_app.launcher import run as launch

            return launch(
                options.config, options.host, options.http_port, options.grpc_port, options.mode
            )
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
