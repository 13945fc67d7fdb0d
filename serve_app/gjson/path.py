"""GJSON's paths (github.com/tidwall/gjson, SYNTAX.md), in which KServe's graphs write conditions.

A path is read once, into steps; `exists` then asks a JSON value. What GJSON has beside that (other
modifiers than `@this`, literals, JSON lines) is refused when a path is read, and so are the places of
brackets and | at which its answers hang on how it looks.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from serve_app.gjson.query import GONE, Query, glob, query
from serve_app.gjson.text import Malformed, balanced, pieces

# https://github.com/tidwall/gjson/blob/master/SYNTAX.md#modifiers: any other word after @ is a key.
MODIFIERS = frozenset(
    {"pretty", "ugly", "reverse", "this", "flatten", "join", "valid", "keys", "values", "tostr",
     "fromstr", "group", "dig"}
)  # fmt: skip

_LONGEST = 200  # characters: brackets in brackets are read by calls in calls


@dataclass(frozen=True, slots=True)
class Key:
    """A member of an object by name, or an element of an array by its number."""

    name: str

    def of(self, value: Any, rest: "Steps") -> Any:
        if isinstance(value, dict):
            return rest.of(value[self.name]) if self.name in value else GONE
        if isinstance(value, list) and self.name.isascii() and self.name.isdecimal():
            number = int(self.name)
            return rest.of(value[number]) if number < len(value) else GONE
        return GONE


@dataclass(frozen=True, slots=True)
class Pattern:
    """The first member of an object whose name fits, and that has what is asked of it."""

    text: str

    def of(self, value: Any, rest: "Steps") -> Any:
        for name in value if isinstance(value, dict) else ():
            if glob(self.text, name) and (found := rest.of(value[name])) is not GONE:
                return found
        return GONE


@dataclass(frozen=True, slots=True)
class Each:
    """`#`: how many elements an array has, or `#.path`: what each of them has there that has it."""

    path: "Path | None"

    def of(self, value: Any, rest: "Steps") -> Any:
        if not isinstance(value, list):
            found = value.get("#", GONE) if isinstance(value, dict) else GONE
            return found if found is GONE or self.path is None else self.path.of(found)
        return len(value) if self.path is None else _there(value, self.path)


@dataclass(frozen=True, slots=True)
class Where:
    """`#(…)`, the first element that fits, or `#(…)#`, all of them; `path` is then asked of it."""

    query: Query
    asked: "Path"
    all: bool
    path: "Path"

    def of(self, value: Any, rest: "Steps") -> Any:
        if not isinstance(value, list):
            return GONE
        fit = (one for one in value if self._fits(one))
        if self.all:
            return _there(fit, self.path)
        found = next(fit, GONE)
        return found if found is GONE else self.path.of(found)

    def _fits(self, one: Any) -> bool:
        if isinstance(one, dict | list):
            return self.query.fits(self.asked.of(one))
        return not self.asked.text and self.query.fits(one)


@dataclass(frozen=True, slots=True)
class Several:
    """`[a,b]` or `{"name":a}`: an array or object of those that are there, be it none."""

    parts: tuple[tuple[str, "Path"], ...]
    named: bool

    def of(self, value: Any, rest: "Steps") -> Any:
        found = [(name, one) for name, path in self.parts if (one := path.of(value)) is not GONE]
        return rest.of(dict(found) if self.named else [one for _, one in found])


Step = Key | Pattern | Each | Where | Several


@dataclass(frozen=True, slots=True)
class Steps:
    """Each is asked of what the one before it found."""

    steps: tuple[Step, ...]

    def of(self, value: Any) -> Any:
        return self.steps[0].of(value, Steps(self.steps[1:])) if self.steps else value


@dataclass(frozen=True, slots=True)
class Path:
    """One that was read. `stages` stand between `|`: each is asked of all the one before it found."""

    text: str
    stages: tuple[Steps, ...]

    def of(self, value: Any) -> Any:
        """What is there in `value`; GONE for nothing."""
        for stage in self.stages:
            if value is GONE:
                break
            value = stage.of(value)
        return value

    def exists(self, value: Any) -> bool:
        """Whether something is."""
        return self.of(value) is not GONE


def _there(values: Iterable[Any], path: Path) -> list[Any]:
    return [found for one in values if (found := path.of(one)) is not GONE]


def read(text: str) -> Path:
    """A path; ValueError says what of it isn't GJSON's, or isn't supported."""
    try:
        if len(text) > _LONGEST:
            raise Malformed(f"it has more than {_LONGEST} characters")
        return _path(text)
    except Malformed as error:
        raise ValueError(f"the GJSON path {text[:_LONGEST]!r}: {error}") from None


def _path(text: str) -> Path:
    if not text:
        return Path("", (Steps((Key(""),)),))
    if text.startswith(".."):
        raise Malformed("JSON lines (..) aren't supported")
    first, *others = pieces(text, "|")
    for one in others:
        _only_first(one)
    if others and any(_goes_on(one) for one in (first, *others[:-1])):
        raise Malformed("a | behind #.… isn't supported: GJSON passes over it where nothing is found")
    return Path(text, tuple(_steps(pieces(one, ".")) for one in (first, *others)))


def _only_first(part: str) -> None:
    if part[:1] in ("[", "{") or part == "@this":
        raise Malformed(f"{part[0] if part[0] != '@' else part} is supported at the beginning alone")


def _goes_on(stage: str) -> bool:
    """Whether something is asked of an array's elements."""
    return any(part.startswith("#") for part in pieces(stage, ".")[:-1])


def _steps(parts: list[str]) -> Steps:
    """What stands between dots. Elements have what follows their `#`."""
    steps: list[Step] = []
    for index, part in enumerate(parts):
        if part.startswith("#") and (step := _of_elements(part, parts[index + 1 :])):
            return Steps((*steps, step))
        if index:
            _only_first(part)
        if (one := _step(part)) is not None:
            steps.append(one)
    return Steps(tuple(steps))


def _of_elements(part: str, rest: list[str]) -> Each | Where | None:
    for one in rest[:1]:
        _only_first(one)
    path = Path(".".join(rest), (_steps(rest),))
    if part == "#":
        return Each(path if rest else None)
    if part[:2] not in ("#(", "#["):
        return None
    end = balanced(part, 1)
    if part[end:] not in ("", "#"):
        raise Malformed(f"{part[end:]!r} follows a query, where . or | was expected")
    asked, own = query(part[2 : end - 1])
    if len(pieces(asked, "|")) > 1:
        raise Malformed(f"a | in a query ({part}) isn't supported")
    return Where(own, _path(asked), part[end:] == "#", path)


def _step(part: str) -> Step | None:
    if not part:
        raise Malformed("a part of it is empty")
    if part[0] == "!":
        raise Malformed(f"literals ({part}) aren't supported")
    if part[0] == "@" and (name := part[1:].partition(":")[0]) in MODIFIERS:
        if part != "@this":
            raise Malformed(f"the modifier @{name} isn't supported, @this is")
        return None
    if part[0] in "[{":
        if balanced(part, 0) != len(part):
            raise Malformed(f"something follows the {part[0]} that is closed, where . or | was expected")
        return _several(part)
    if "\\" not in part:
        return Pattern(part) if "*" in part or "?" in part else Key(part)
    name, plain = "", part.replace("\\\\", "").replace("\\*", "").replace("\\?", "")
    if "*" in plain or "?" in plain:
        raise Malformed(f"{part!r} has both \\ and a wildcard, which GJSON itself confuses")
    letters = iter(part)
    for letter in letters:
        name += next(letters, "") if letter == "\\" else letter
    return Key(name)


def _several(part: str) -> Several:
    parts = []
    for one in pieces(part[1:-1], ","):
        said, *more = pieces(one, ":")
        name, path = (said.strip('"'), ":".join(more)) if more else (_last(one), one)
        parts.append((name, _path(path)))
    return Several(tuple(parts), part[0] == "{")


def _last(path: str) -> str:
    """What GJSON calls a part of an object that has no name of its own."""
    name = pieces(pieces(path, "|")[-1], ".")[-1]
    return "_" if not name or set(name) & set("[]{}()#|!") else name
