"""A part of a config as one of its types: every mistake in it, also those behind the first ones.

A type finds what doesn't fit together only where each value is right by itself. So what is wrong is
put as it was probably meant, or taken out, and the rest is read again.
"""

import contextlib
import copy
import re
from typing import Any, TypeVar

from pydantic import ValidationError

from serve_app.config import APART, Config, keys_at, meant, problems
from serve_app.tools.kube.documents import get
from serve_app.tools.kube.findings import Place, Report

C = TypeVar("C", bound=Config)
_ROUNDS = 20
_UNKNOWN = ("extra_forbidden", "unknown_option")
_CHOICES = ("literal_error", "enum")
# In place of what is missing, so that the rest can be looked at: one that the type takes.
_FILLERS: tuple[Any, ...] = ("x", 1, [], {}, "python", "embedding", "FP32")


def read(
    kind: type[C], data: Any, place: Place, report: Report, changed: set[str] | None = None
) -> C | None:
    """What could be read of it, None where nothing could; the report hears of the rest.

    `changed` gets the names of keys that aren't as they were written any more.
    """
    left, said = copy.deepcopy(data), set[Place]()
    touched = set[str]() if changed is None else changed
    renamed: dict[Place, Place] = {}
    for _ in range(_ROUNDS):
        try:
            return kind.model_validate(left)
        except ValidationError as error:
            for inner, text in problems(error, kind):
                if inner not in said and not _follows(inner, text, touched):
                    report.add((*place, *inner), text)
                said.add(inner)
            if {item["type"] for item in error.errors()} == {"contradiction"}:
                with contextlib.suppress(ValidationError):
                    return kind.model_validate(left, context={APART: True})
                return None
            done = [
                _mended(kind, left, item, touched, renamed) for item in error.errors(include_url=False)
            ]
            for right, written in renamed.items():
                report.same((*place, *right), (*place, *written))
            if not any(done):
                return None
    return None


def _follows(place: Place, text: str, touched: set[str]) -> bool:
    """Whether it is said of something that isn't as it was written any more."""
    return bool(touched & {*re.findall(r"\w+", text), *map(str, place[-1:])})


def _mended(
    kind: type[Config], data: Any, item: Any, touched: set[str], renamed: dict[Place, Place]
) -> bool:
    """Whether something could be done about it. Names of keys that were taken out are `touched`."""
    place: Place = item["loc"]
    if item["type"] == "missing":
        around = get(data, *place[:-1])
        if around is None and isinstance(above := get(data, *place[:-2]), dict):
            around = above[place[-2]] = {}
        touched.add(str(place[-1]))
        return isinstance(around, dict) and _filled(kind, data, around, place)
    if item["type"] in (*_UNKNOWN, *_CHOICES) and _renamed(kind, data, item, renamed):
        return True
    # The nearest key of a mapping around it: an entry can't leave a list without moving the others.
    for end in range(len(place), 0, -1):
        around, key = get(data, *place[: end - 1]), place[end - 1]
        if isinstance(around, dict) and key in around:
            del around[key]
            touched.add(str(key))
            return True
    return False


def _filled(kind: type[Config], data: Any, around: dict[Any, Any], place: Place) -> bool:
    for filler in _FILLERS:
        around[place[-1]] = filler
        try:
            kind.model_validate(data)
        except ValidationError as error:
            if any(item["loc"][: len(place)] == place for item in error.errors(include_url=False)):
                continue
        return True
    del around[place[-1]]
    return False


def _renamed(kind: type[Config], data: Any, item: Any, renamed: dict[Place, Place]) -> bool:
    """Whether a key, or a word out of a few, is now the one that it nearly was."""
    *above, key = item["loc"]
    around = get(data, *above)
    if not isinstance(around, dict) or key not in around:
        return False
    if item["type"] in _CHOICES:
        better = meant(str(around[key]), re.findall(r"'([^']*)'", str(item["ctx"].get("expected"))))
        around[key] = better or around[key]
    elif (better := meant(str(key), keys_at(kind, above))) and better not in around:
        around[better] = around.pop(key)
        renamed[*above, better] = item["loc"]
    else:
        better = ""
    return bool(better)
