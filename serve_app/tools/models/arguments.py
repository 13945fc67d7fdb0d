"""What may stand behind the commands that ask a running service, and change it."""

import argparse
from pathlib import Path
from typing import Any


def add(commands: Any) -> None:
    """The commands that ask a service, and change it while it runs."""
    _add_models(commands)
    _add_traffic(commands)
    _add_rollout(commands)
    shadow = commands.add_parser(
        "shadow",
        help="what came of the copies of a model's requests: how many answers differ, and where",
    )
    shadow.add_argument("model")
    _of_service(shadow)


def _uri(text: str) -> tuple[str, str]:
    version, _, uri = text.partition("=")
    if not (version and uri):
        raise argparse.ArgumentTypeError(
            f"expected VERSION=URI, as 2=s3://models/digits/2, got '{text}'"
        )
    return version, uri


def _of_service(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--address", "-a", metavar="URL",
        help="of the service; default: TANDEM_ADDRESS, the last `tandem run`",
    )  # fmt: skip
    command.add_argument("--json", action="store_true")


def _add_models(commands: Any) -> None:
    models = commands.add_parser("models", help="the models of a service: list, load, unload")
    what = models.add_subparsers(dest="what", required=True)
    told = {
        "list": "every version of every model, and its state",
        "versions": "those of one model, and what each has answered",
        "load": "load a model, or load it anew; returns when it is served",
        "unload": "unload a model; returns when it is gone",
    }
    for name, text in told.items():
        one = what.add_parser(name, help=text)
        if name != "list":
            one.add_argument("model")
        _of_service(one)
        if name in ("load", "unload"):
            one.add_argument("--version", help="this one alone")
        if name == "load":
            one.add_argument("--config", metavar="JSON", help="keys of its entry, or @FILE")
            one.add_argument(
                "--file", action="append", default=[], metavar="VERSION/NAME=PATH",
                help="a file to be loaded, as 1/model.onnx=mine.onnx",
            )  # fmt: skip
    build = what.add_parser("build", help="build the demo models (also: tandem models FOLDER)")
    build.add_argument("folder", type=Path, nargs="?", default=Path(".models"))
    build.add_argument("--llm", action="store_true", help="the LLM alone, which the others do without")


def _add_traffic(commands: Any) -> None:
    traffic = commands.add_parser(
        "traffic", help="how a model's requests are shared among its versions; returns when they are"
    )
    traffic.add_argument("model")
    traffic.add_argument(
        "weights", nargs="*", metavar="VERSION=PERCENT",
        help="together 100, as 1=95 2=5; match and sticky stay as they are",
    )  # fmt: skip
    traffic.add_argument("--config", metavar="JSON", help="the whole of it, or @FILE")
    traffic.add_argument("--clear", action="store_true", help="as the configuration has it, again")
    traffic.add_argument(
        "--write", action="store_true", help="print what there is as a block of the configuration"
    )
    _of_service(traffic)


def _add_rollout(commands: Any) -> None:
    rollout = commands.add_parser(
        "rollout", help="a new version that gets a growing share: how it stands, and what to do with it"
    )
    rollout.add_argument("model")
    rollout.add_argument(
        "verb", nargs="?",
        choices=["status", "start", "pause", "resume", "abort", "promote", "export"],
        default="status",
    )  # fmt: skip
    rollout.add_argument(
        "--config", metavar="JSON", help="for start: the rollout, or @FILE; else the configuration's"
    )
    rollout.add_argument(
        "--to", choices=["kserve", "argo", "flagger"], help="for export: whose objects say the same"
    )
    rollout.add_argument(
        "--prometheus", metavar="URL", default="http://prometheus.monitoring:9090",
        help="for export: whom they ask (%(default)s)",
    )  # fmt: skip
    rollout.add_argument(
        "--uri", type=_uri, action="append", default=[], metavar="VERSION=URI",
        help="for export to KServe: where a version lies, both of them",
    )  # fmt: skip
    rollout.add_argument("--format", metavar="NAME", default="onnx", help="and its modelFormat (onnx)")
    rollout.add_argument("--watch", action="store_true", help="tell each decision, until it is over")
    _of_service(rollout)
