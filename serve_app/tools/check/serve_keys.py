"""A Serve config's keys: those that Serve doesn't know, and the config as it was probably meant."""

import copy
from collections.abc import Iterable, Iterator
from typing import Any

from ray.serve.schema import ServeDeploySchema

from serve_app.config import did_you_mean, keys_at, meant
from serve_app.tools.kube.documents import apart, get, items
from serve_app.tools.kube.findings import Place, Problem, Report

# Mappings whose keys are the user's own or another schema's.
_FREE = ("runtime_env", "user_config", "args", "resources", "env_vars")
# What Serve has called differently before.
_RENAMED = {
    "max_concurrent_queries": "max_ongoing_requests",
    "target_num_ongoing_requests_per_replica": "target_ongoing_requests",
}


def as_meant(data: dict[str, Any], report: Report) -> dict[str, Any]:
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


def sound(data: dict[str, Any], wrong: Iterable[Problem]) -> dict[str, Any]:
    """A copy without the values that the schema refuses; an entry of a list leaves an empty one."""
    left = copy.deepcopy(data)
    for *above, key in (one.place for one in wrong if one.place):
        around = get(left, *above)
        if isinstance(around, dict):
            around.pop(key, None)  # a missing one is what is wrong
        elif not isinstance(get(around, key), dict) and key in range(len(items(around))):
            around[int(key)] = {}
    return left
