"""What one document says and another doesn't, so that it can be said again when the other comes back.

A difference remembers what stood there. Where that was changed meanwhile, the change counts, as in a
three-way merge. Lists are one value.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from serve_app.tools.kube.documents import apart

_NOTHING = object()
Difference = dict[str, Any]


def differences(of: Any, wanted: Any, place: tuple[str, ...] = ()) -> Iterator[Difference]:
    """What makes `wanted` of `of`, leaf by leaf."""
    if isinstance(of, dict) and isinstance(wanted, dict) and of and wanted:
        for key in dict.fromkeys([*of, *wanted]):
            yield from differences(of.get(key, _NOTHING), wanted.get(key, _NOTHING), (*place, str(key)))
    elif (of is _NOTHING or (of == {} and not place)) and isinstance(wanted, dict) and wanted:
        for key, value in wanted.items():
            yield from differences(_NOTHING, value, (*place, str(key)))
    elif isinstance(of, dict) and of and wanted is _NOTHING:
        for key, value in of.items():
            yield from differences(value, _NOTHING, (*place, str(key)))
    elif of is _NOTHING or wanted is _NOTHING or not same(of, wanted):
        found: Difference = {"at": list(place)}
        if of is not _NOTHING:
            found["was"] = of
        if wanted is not _NOTHING:
            found["is"] = wanted
        yield found


def same(one: Any, other: Any) -> bool:
    """Equal, and of equal types: 1 isn't true."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and bool(one == other)


def merged(document: dict[str, Any], found: Iterable[Difference]) -> tuple[dict[str, Any], int]:
    """`document` with the differences, and how many of them didn't fit any more."""
    result: dict[str, Any] = apart(document)
    missed = 0
    for one in found:
        at = one.get("at")
        if not isinstance(at, list) or not at:
            continue
        missed += not _put(result, [str(step) for step in at], one)
    return result, missed


def _put(document: dict[str, Any], at: list[str], one: Difference) -> bool:
    around: list[dict[str, Any]] = [document]
    for step in at[:-1]:
        inner = around[-1].get(step)
        if inner is None and "is" in one and "was" not in one:
            inner = around[-1].setdefault(step, {})
        if not isinstance(inner, dict):
            return False
        around.append(inner)
    there = around[-1].get(at[-1], _NOTHING)
    if ("was" in one) != (there is not _NOTHING) or ("was" in one and not same(there, one["was"])):
        return False
    if "is" in one:
        around[-1][at[-1]] = apart(one["is"])
        return True
    del around[-1][at[-1]]
    for part, step in zip(reversed(around[:-1]), reversed(at[:-1]), strict=True):
        if part[step] == {}:
            del part[step]
    return True
