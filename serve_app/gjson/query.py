"""What stands in GJSON's `#(…)`: a path, an operator and a value, or a path alone."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from operator import eq, ge, gt, le, lt, ne
from typing import Any

from serve_app.gjson.text import Malformed, after

GONE = object()  # what isn't there; null is
_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "=": eq, "!=": ne, "<": lt, "<=": le, ">": gt, ">=": ge,
}  # fmt: skip
_OPERATORS = ("!=", "!%", "<=", ">=", "==", "<", ">", "=", "%")
_TRUE, _FALSE = ("1", "t", "true"), ("0", "f", "false")  # as Go's strconv has them
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-]?(?:inf|infinity)|nan", re.I | re.A)


@dataclass(frozen=True, slots=True)
class Query:
    """`operator` '' asks whether something is there."""

    operator: str
    value: str
    number: float

    def fits(self, found: Any) -> bool:
        """Whether an element is one that is asked for, by what its path found."""
        value = self.value
        if value.startswith("~"):
            found, value = _truth(value[1:], found)
        if found is GONE:
            return False
        if not self.operator:
            return True
        if isinstance(found, bool):
            # false < true; of any other word neither is less, and >= and <= hold of true and false.
            return _ordered(self.operator, found, value)
        if isinstance(found, int | float):
            order = _ORDER.get(self.operator)
            return order is not None and order(float(found), self.number)
        if isinstance(found, str):
            if self.operator in ("%", "!%"):
                return glob(value, found) == (self.operator == "%")
            return _ORDER[self.operator](found, value)
        return False


def _ordered(operator: str, found: bool, value: str) -> bool:
    own, other = ("true", "false") if found else ("false", "true")
    if operator in ("=", "!="):
        return (value == own) == (operator == "=")
    if operator == (">" if found else "<"):
        return value == other
    return operator == (">=" if found else "<=")


def _truth(kind: str, found: Any) -> tuple[Any, str]:
    if kind == "*":
        return found is not GONE, "true"
    if kind == "null":
        return found is GONE or found is None, "true"
    text = found.lower() if isinstance(found, str) else None
    number = isinstance(found, int | float) and not isinstance(found, bool)
    if kind == "true":
        return found is True or text in _TRUE or (number and found != 0), "true"
    if kind == "false":
        nothing = found is GONE or found is None or found is False
        return nothing or text in _FALSE or (number and found == 0), "true"
    return GONE, ""


def query(text: str) -> tuple[str, Query]:
    """The path that is asked of each element, and what of it."""
    at = 0
    while at < len(text) and text[at] not in "!=<>%":
        at = after(text, at)
    path, rest = text[:at].strip(), text[at:].strip()
    operator = next((one for one in _OPERATORS if rest.startswith(one)), "")
    if rest and not operator:
        raise Malformed(f"{rest!r} has no operator: expected one of {', '.join(_OPERATORS)}")
    value = rest[len(operator) :].strip()
    if len(value) >= 2 and value[0] == value[-1] == '"':
        value = json.loads(value) if "\\" in value else value[1:-1]
    return path, Query("=" if operator == "==" else operator, value, _number(value))


def _number(text: str) -> float:
    return float(text) if _NUMBER.fullmatch(text) else 0.0  # 0, as Go has it of what is none


def glob(pattern: str, text: str) -> bool:
    """Whether `text` fits: * is any letters, ? is any one, and \\ takes both at their word."""
    return _compiled(pattern).fullmatch(text) is not None


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    """Each piece between two * at the first place where it fits: no text takes long."""
    parts, letters = [""], iter(pattern)
    for letter in letters:
        if letter == "*":
            parts.append("")
        else:
            one = next(letters, "") if letter == "\\" else letter
            parts[-1] += "." if letter == "?" else re.escape(one)
    first, *rest = parts
    if not rest:
        return re.compile(first, re.S)
    *middle, last = rest
    return re.compile(first + "".join(f"(?>.*?{one})" for one in middle) + f".*{last}", re.S)
