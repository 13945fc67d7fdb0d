"""The conditions that a report's figures hold for."""

from typing import Any

from loadtests.compare.judge import mib, named
from loadtests.compare.report.document import Table
from loadtests.compare.results import Results

ABSENT = [
    "KServe's gateway (Istio, Envoy or Knative's) and queue-proxy: one or two more hops for every "
    "request, "
    "and Knative's concurrency limits.",
    "Kubernetes' services and Ray's pods on several nodes: here HAProxy, Router and client share one "
    "machine.",
    "Provisioning: nodes, images, model downloads, autoscalers.",
    "A network: all of it is loopback.",
    "Cores of their own: client and server share this machine's, and the busier server leaves less to "
    "the client.",
    "GPUs.",
]


def tables(results: Results) -> list[Table]:
    """Machine, sides, versions, settings, and what was found equal."""
    about = results.about
    machine, options = about["machine"], about["options"]
    general = [
        ["Began", about["began"]],
        ["Source", about["source"]],
        [
            "Processor",
            f"{machine['processor']}, {machine['cores']} cores, load {machine['load']:.2f} before",
        ],
        ["Memory", mib(machine["memory"])],
        ["System", machine["system"]],
        [
            "Client",
            f"{about['client']['processes']} process(es), Python {about['client']['python']}, uvloop",
        ],
        ["Rounds", f"{options['rounds']}, sides in changing order, one running at a time"],
        [
            "Steps",
            f"{options['steps']} rates, {options['seconds']:g} s each after {options['warm_up']:g} s",
        ],
        ["Arrivals", options["arrivals"]],
    ]
    sides = [
        [named(side["name"]), side["kind"], side.get("command") or side.get("http", "")]
        for side in about["sides"]
    ]
    versions = about["versions"]
    packages = list(dict.fromkeys(package for some in versions.values() for package in some))
    rows = [
        [package, *(versions[side].get(package, "-") for side in results.sides)] for package in packages
    ]
    models = [
        [model["name"], ", ".join(f"{key}: {_short(model[key])}" for key in model if key != "name")]
        for model in about["config"]["models"]
    ]
    weights = [[uri, digest] for uri, digest in about["config"]["weights"].items()]
    inherited = [[name, value] for name, value in about["environment"].items()]
    made = [
        Table(["", ""], general, "The run"),
        Table(["side", "kind", "command or address"], sides, "Sides"),
        Table(["", *(named(side) for side in results.sides)], rows, "Versions"),
        Table(["model", "settings, the same for all started sides"], models, "Models"),
        Table(["weights", "SHA-256, the first half of a half"], weights, "Weights"),
        Table(["", ""], inherited, "Inherited environment"),
        Table([""], [[line] for line in results.checks], "Found equal before measuring"),
    ]
    return [table for table in made if table.rows]


def _short(value: Any) -> str:
    return str(value).replace("'", "").strip("{}")
