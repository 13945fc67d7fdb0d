"""A Serve config: as Ray reads it, our arguments in it, and what must fit together."""

from dataclasses import replace
from typing import Any

from serve_app.tools.check import ray_serve, routes, serve_keys
from serve_app.tools.check.applications import Applications
from serve_app.tools.check.models_together import check_models
from serve_app.tools.check.payloads import check_payloads
from serve_app.tools.check.ray_serve import MISSING
from serve_app.tools.kube.findings import Place, Problem, Report


def check_serve_config(data: dict[str, Any], report: Report, here: bool = False) -> None:
    """Everything that can be known to be wrong with a Serve config before it runs.

    `here`: it is for this machine, so that its folders and its modules should be here.
    """
    if not ray_serve.is_serve_config(data):
        text = "neither a Serve config nor a resource of Kubernetes"
        report.add((), text, "it was not looked at", severity="note")
        return
    before = len(report.found)
    data = serve_keys.as_meant(data, report)
    wrong = ray_serve.schema(data)
    more = wrong
    while more:  # behind what Ray stumbles over there may be more
        data = serve_keys.sound(data, more)
        said = {one.place for one in wrong}
        more = [one for one in ray_serve.schema(data) if not _follows(one, said)]
        wrong += more
    report.extend(wrong)
    report.extend(ray_serve.deploys(data, {one.place for one in wrong}))
    # What a runtime_env brings isn't known where it is wrong itself.
    unsure = {one.place[1] for one in wrong if "runtime_env" in one.place[2:]}
    applications = Applications(data, report, here, unsure)
    report.extend(routes.check(data))
    report.extend(check_models(applications))
    report.extend(check_payloads(applications))
    report.found[before:] = map(_explained, report.found[before:])


def _follows(one: Problem, said: set[Place]) -> bool:
    """Whether it is said already, or is of a part that was taken out because it was wrong."""
    if one.what != MISSING:
        return one.place in said
    around, key = one.place[:-1], one.place[-1:]
    below = (place for place in said if place[: len(around)] == around)
    return any(place[-1:] == key for place in below) or any(
        around[:end] in said for end in range(1, len(around) + 1)
    )


def _explained(one: Problem) -> Problem:
    """With why it matters, and the way out where the sentence has it."""
    _, found, better = one.what.rstrip("?").partition("; did you mean ")
    why = one.why or "the deploy fails, or the application at its start"
    return replace(one, why=why, fix=one.fix or (f"{better}" if found else ""))
