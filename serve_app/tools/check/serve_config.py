"""A Serve config: as Ray reads it, our arguments in it, and what must fit together."""

import copy
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from serve_app.config import did_you_mean, keys_at, meant
from serve_app.internals.serve_schema import ServeDeploySchema
from serve_app.tools.check import anyscale, ray_serve, routes
from serve_app.tools.check.applications import Applications
from serve_app.tools.check.models_together import check_models
from serve_app.tools.check.ray_serve import MISSING
from serve_app.tools.kube.documents import apart, get, items
from serve_app.tools.kube.findings import Place, Problem, Report

# Mappings whose keys are the user's own or another schema's.
_FREE = ("runtime_env", "user_config", "args", "resources", "env_vars")
# What Serve has called differently before.
_RENAMED = {
    "max_concurrent_queries": "max_ongoing_requests",
    "target_num_ongoing_requests_per_replica": "target_ongoing_requests",
}


def check_serve_config(data: dict[str, Any], report: Report, here: bool = False) -> None:
    """Everything that can be known to be wrong with a Serve config before it runs.

    `here`: it is for this machine, so that its folders and its modules should be here.
    """
    if not ray_serve.is_serve_config(data):
        text = "neither a Serve config nor a resource of Kubernetes"
        report.add((), text, "it was not looked at", severity="note")
        return
    before = len(report.found)
    if theirs := anyscale.service(data):
        report.extend([theirs])
        data, here = anyscale.of_serve(data), False  # what runs it brings the modules too
    data = _as_meant(data, report)
    wrong = ray_serve.schema(data)
    more = wrong
    while more:  # behind what Ray stumbles over there may be more
        data = _sound(data, more)
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


def _as_meant(data: dict[str, Any], report: Report) -> dict[str, Any]:
    """A copy with misspelt keys put right, so that what they hold is looked at too.

    The report hears of them, and where they stand by their right names.
    """
    renamed: dict[Place, str] = {}
    report.extend(_unknown_keys(data, (), (), renamed))
    right: dict[str, Any] = apart(data)
    for place in sorted(renamed, key=len, reverse=True):  # what is inside first
        around = get(right, *place[:-1])
        around[renamed[place]] = around.pop(place[-1])
        report.same((*place[:-1], renamed[place]), place)
    return right


def _unknown_keys(
    value: Any, place: Place, right: Place, renamed: dict[Place, str]
) -> Iterator[Problem]:
    """Keys that Serve drops without a word. `right` is the place by right names."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _unknown_keys(item, (*place, index), (*right, index), renamed)
    if not isinstance(value, dict) or (right and right[-1] in _FREE):
        return
    known = keys_at(ServeDeploySchema, right)
    for key, inner in value.items() if known else ():
        if key in known:
            yield from _unknown_keys(inner, (*place, key), (*right, key), renamed)
            continue
        new = _RENAMED.get(key, "")
        hint = f"; it is {new} now" if new in known else did_you_mean(str(key), known)
        yield Problem((*place, key), f"unknown key{hint}", "Serve drops it without a word")
        better = new if new in known else meant(str(key), known)
        if (
            better
            and better not in value
            and better not in (right for at, right in renamed.items() if at[:-1] == place)
        ):
            renamed[*place, key] = better
            yield from _unknown_keys(inner, (*place, key), (*right, better), renamed)


def _sound(data: dict[str, Any], wrong: Iterable[Problem]) -> dict[str, Any]:
    """A copy without the values that the schema refuses; an entry of a list leaves an empty one."""
    left = copy.deepcopy(data)
    for *above, key in (one.place for one in wrong if one.place):
        around = get(left, *above)
        if isinstance(around, dict):
            around.pop(key, None)  # a missing one is what is wrong
        elif not isinstance(get(around, key), dict) and key in range(len(items(around))):
            around[int(key)] = {}
    return left
