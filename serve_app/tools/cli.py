"""The command `tandem`."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from serve_app.errors import ConfigError


def main(arguments: list[str] | None = None) -> int:
    """Entry point. 0 when all went well, 1 for findings, 2 when the configuration can't be used.

    3 of `doctor`: nothing is wrong, and waiting brings it to rest.
    """
    options = _parser().parse_args(arguments)
    try:
        return _COMMANDS[options.command](options)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tandem", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    check = commands.add_parser(
        "check", help="find what is wrong with configs and manifests, with lines"
    )
    check.add_argument("path", type=Path, nargs="+", help="files, folders, kustomizations, or - ")
    check.add_argument("--crds", type=Path, help="a folder of CRDs (default: the variable TANDEM_CRDS)")
    check.add_argument("--format", choices=["text", "json", "github"], default="text")
    check.add_argument("--strict", action="store_true", help="warnings and notes count too")

    models = commands.add_parser("models", help="build the demo models")
    models.add_argument("folder", type=Path, nargs="?", default=Path(".models"))
    models.add_argument("--llm", action="store_true", help="the LLM alone, which the others do without")

    run = commands.add_parser("run", help="serve a config on this machine until interrupted")
    run.add_argument("config", type=Path)
    run.add_argument("--host", default=None, help="default 127.0.0.1; other hosts open Ray's ports too")
    run.add_argument("--http-port", type=int, default=None)
    run.add_argument("--grpc-port", type=int, default=None)
    run.add_argument("--mode", choices=["high-throughput", "default"], default="high-throughput")

    deploy = commands.add_parser("deploy", help="a changed config to what runs, and what became of it")
    deploy.add_argument("config", type=Path, help="a Serve config")
    deploy.add_argument(
        "--address",
        "-a",
        help="of Ray's dashboard; default: RAY_DASHBOARD_ADDRESS, RAY_ADDRESS, the last `tandem run`",
    )
    deploy.add_argument(
        "--http", default="", metavar="URL", help="of the service, where Serve doesn't know"
    )
    deploy.add_argument("--timeout", type=float, default=300, help="seconds to wait for it (300)")
    deploy.add_argument("--json", action="store_true")

    local = commands.add_parser("local", help="run a RayService manifest here, as KubeRay would")
    local.add_argument("manifest", type=Path)
    local.add_argument("--host", default="127.0.0.1", help="of the services (default 127.0.0.1)")
    local.add_argument("--http-port", type=int, default=8000)
    local.add_argument("--grpc-port", type=int, default=9000)
    local.add_argument("--dashboard-port", type=int, default=8265)
    local.add_argument("--containers", metavar="RUN", help="nodes in containers, by `podman run` say")
    local.add_argument("--state-file", type=Path, help="where to write the status, as JSON")

    doctor = commands.add_parser(
        "doctor", help="in which state a service is, why, and what to do next (0 ready, 3 wait, 1 wrong)"
    )
    doctor.add_argument("name", nargs="?", help="a RayService, asked for with kubectl")
    doctor.add_argument("--namespace", "-n", default="tandem", help="of the RayService (default tandem)")
    doctor.add_argument("--address", help="of Ray's dashboard, without NAME; default as for deploy")
    doctor.add_argument("--json", action="store_true")

    offline = commands.add_parser("offline", help="many texts through a model, without a service")
    offline.add_argument("config", type=Path, help="a Serve config")
    offline.add_argument("application", help="one of its models")
    offline.add_argument("input", type=Path, help="a text in each line, UTF-8")
    offline.add_argument("output", type=Path, help="where to write the outputs, as .npz")
    offline.add_argument("--rows", type=int, default=64, help="of a batch (64)")
    offline.add_argument("--workers", type=int, help="as many as the cluster has room for")
    return parser


# Each imports what it needs when it is asked for: Ray alone takes seconds.


def _check(options: argparse.Namespace) -> int:
    from serve_app.tools.check.command import run

    return run(options.path, options.crds, options.format, options.strict)


def _models(options: argparse.Namespace) -> int:
    if options.llm:
        from serve_app.demo.llm import build

        folder = options.folder / "llm"
        print(f"tiny LLM, trained in a minute or two if there is none: {folder}", flush=True)
    else:
        from serve_app.demo.build import build

        folder = options.folder
    fresh = build(folder)
    print(f"demo models {'built' if fresh else 'are there already'}: {folder}")
    return 0


def _run(options: argparse.Namespace) -> int:
    from serve_app.tools.stopping import leave_on_signals

    leave_on_signals()
    from serve_app.tools.run.command import run

    return run(options.config, options.host, options.http_port, options.grpc_port, options.mode)


def _deploy(options: argparse.Namespace) -> int:
    from serve_app.tools.deploy.command import run

    return run(options.config, options.address, options.http, options.timeout, options.json)


def _local(options: argparse.Namespace) -> int:
    from serve_app.tools.stopping import leave_on_signals

    leave_on_signals()
    from serve_app.tools.local.command import run

    ports = (options.http_port, options.grpc_port, options.dashboard_port)
    return run(options.manifest, options.host, ports, options.state_file, options.containers)


def _doctor(options: argparse.Namespace) -> int:
    from serve_app.tools.doctor.command import run

    return run(options.name, options.namespace, options.address, options.json)


def _offline(options: argparse.Namespace) -> int:
    from serve_app.tools.offline import run

    files = (options.input, options.output)
    return run(options.config, options.application, *files, options.rows, options.workers)


_COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "check": _check,
    "models": _models,
    "run": _run,
    "deploy": _deploy,
    "local": _local,
    "doctor": _doctor,
    "offline": _offline,
}
