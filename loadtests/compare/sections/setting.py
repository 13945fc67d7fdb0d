"""The conditions that a report's figures hold for."""

from typing import Any

from loadtests.compare.judge import mib, named
from loadtests.compare.report.document import Table
from loadtests.compare.results import Results

_KSERVE = [
    "KServe's other servers: here it is its own model server, in Python, around the same model classes "
    "as Tandem's; people also put Triton, vLLM or MLServer behind KServe.",
    "A gateway: KServe's (Istio, Envoy or Knative's) and its queue-proxy are one or two more hops for "
    "every request, with Knative's concurrency limits.",
]
_MACHINE = [
    "More than one machine: client and servers share {cores} cores, and the busier server leaves less "
    "to the client; no network, no Kubernetes services, no Ray pods on other nodes.",
    "Provisioning: nodes, images, model downloads, autoscalers.",
    "GPUs.",
]
_ELSEWHERE = (
    "What is behind the addresses: replicas, cores, gateways and networks were not looked at, and are "
    "in the figures of whoever has them."
)


def absent(results: Results) -> list[str]:
    """What a reader may not conclude from this run, the weightiest first."""
    kinds = {side["kind"] for side in results.about["sides"]}
    one, *others = _MACHINE
    found = [one.format(cores=results.about["machine"]["cores"])] if kinds - {"running"} else []
    found += _KSERVE if any(kind.startswith("kserve") for kind in kinds) else []
    found += [_ELSEWHERE] if "running" in kinds else []
    return found + (others if kinds - {"running"} else [])


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
        ["Rounds", f"{options['rounds']}, sides in changing order, {_up(results)}"],
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


def _up(results: Results) -> str:
    """Which servers were there at a time: one that waits takes something as well."""
    if not results.about["options"].get("kept"):
        return "one running at a time"
    taken = [run.others_cpu for run in results.runs if run.part in ("load", "capacity")]
    cores = f"{max(taken, default=0):.2f}"
    return f"one asked at a time; those that were not asked stayed up, and took {cores} cores at most"


def _short(value: Any) -> str:
    return str(value).replace("'", "").strip("{}")
