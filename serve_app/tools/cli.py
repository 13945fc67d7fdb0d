"""The command `tandem`."""

import argparse
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from serve_app.errors import ConfigError
from serve_app.tools import parsers
from serve_app.tools.models import arguments as models


def main(arguments: list[str] | None = None) -> int:
    """Entry point. 0 when all went well, 1 for findings, 2 when the configuration can't be used.

    3 of `doctor`: nothing is wrong, and waiting brings it to rest.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = _parser().parse_args(_with_build(given))
    try:
        code = _COMMANDS[options.command](options)
        sys.stdout.flush()
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    except BrokenPipeError:  # who read it has gone, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what Python still flushes
        return 128 + signal.SIGPIPE
    return code


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

    models.add(commands)

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
    local.add_argument(
        "--redis", metavar="HOST:PORT", default="", help="that of gcsFaultToleranceOptions, here"
    )
    local.add_argument("--state-file", type=Path, help="where to write the status, as JSON")

    doctor = commands.add_parser(
        "doctor", help="in which state a service is, why, and what to do next (0 ready, 3 wait, 1 wrong)"
    )
    doctor.add_argument("name", nargs="?", help="a RayService, asked for with kubectl")
    doctor.add_argument("--namespace", "-n", default="tandem", help="of the RayService (default tandem)")
    doctor.add_argument("--address", help="of Ray's dashboard, without NAME; default as for deploy")
    doctor.add_argument("--json", action="store_true")

    parsers.add_batch(commands)
    parsers.add_convert(commands)
    return parser


_OF_MODELS = ("list", "versions", "load", "unload", "build")


def _with_build(arguments: list[str]) -> list[str]:
    """`tandem models FOLDER` builds the demo models there, as `tandem models build FOLDER` does."""
    if arguments[:1] == ["models"] and not {*_OF_MODELS, "-h", "--help"} & {*arguments[1:2]}:
        return ["models", "build", *arguments[1:]]
    return arguments


# Each imports what it needs when it is asked for: Ray alone takes seconds.


def _check(options: argparse.Namespace) -> int:
    from serve_app.tools.check.command import run

    return run(options.path, options.crds, options.format, options.strict)


def _models(options: argparse.Namespace) -> int:
    if options.what != "build":
        from serve_app.tools.models.command import run

        return run(options)
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


def _traffic(options: argparse.Namespace) -> int:
    from serve_app.tools.models.traffic import run

    return run(options)


def _shadow(options: argparse.Namespace) -> int:
    from serve_app.tools.models.shadow import run

    return run(options)


def _rollout(options: argparse.Namespace) -> int:
    from serve_app.tools.models.rollout import run

    return run(options)


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
    containers, redis = options.containers, options.redis
    return run(options.manifest, options.host, ports, options.state_file, containers, redis)


def _doctor(options: argparse.Namespace) -> int:
    from serve_app.tools.doctor.command import run

    return run(options.name, options.namespace, options.address, options.json)


def _batch(options: argparse.Namespace) -> int:
    from serve_app.tools.batch import environment

    environment.prepare()  # checking imports Ray
    from serve_app.tools.batch.command import run

    return run(options)


def _convert(options: argparse.Namespace) -> int:
    from serve_app.tools.convert import run

    return run(options)


_COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "check": _check,
    "models": _models,
    "traffic": _traffic,
    "rollout": _rollout,
    "run": _run,
    "shadow": _shadow,
    "deploy": _deploy,
    "local": _local,
    "doctor": _doctor,
    "batch": _batch,
    "offline": _batch,
    "convert": _convert,
}
