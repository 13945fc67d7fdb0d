"""Rules as a table: what must not be, where, why, how to mend it, and who says so."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from string import Formatter
from typing import Any

from serve_app.config import did_you_mean
from serve_app.tools.kube.documents import Document, get, items
from serve_app.tools.kube.findings import Place, Problem, Severity
from serve_app.tools.kube.part import Looks, Part
from serve_app.tools.kube.ray_cluster import Group, RayCluster

API_SERVER = "the API server refuses it"
OPERATOR = "the operator refuses the resource"
PROTOCOLS = ("TCP", "UDP", "SCTP")
_SENTENCES = Formatter()


@dataclass(frozen=True)
class Resource:
    """A document, as rules see it."""

    document: Document
    cluster: RayCluster  # empty where it has none

    @classmethod
    def of(cls, document: Document) -> "Resource":
        return cls(document, RayCluster.of(document.data) or RayCluster((), {}))

    @property
    def kind(self) -> str:
        return self.document.kind

    @property
    def whole(self) -> Part:
        return Part((), self.document.data)

    @property
    def spec(self) -> Part:
        """Of a RayCronJob that of its template, as for the operator."""
        return self.whole.at("spec", *(["jobTemplate"] if self.kind == "RayCronJob" else []))

    def note(self, name: str) -> str:
        """An annotation, or ''. KubeRay's operator doesn't look at a template's."""
        return "" if self.kind == "RayCronJob" else self.whole.text("metadata", "annotations", name)

    def older(self, *version: int) -> bool:
        """Whether the cluster's Ray is older, or says nothing of its version."""
        return self.cluster.version is None or self.cluster.version < version


When = Callable[[Any, Resource], object]


@dataclass(frozen=True)
class Rule:
    """`at` says where, with a space between steps; `env X` is the variable X of a group.

    `when` is asked with a part and its resource, and says whether it is broken, or with what: that takes
    the place of `{}`, where it is just true what stands at `at`. `{key}` is what the part has there.
    Without a `why` of its own a rule has that of its row.
    """

    at: str
    when: When
    what: str = "{}"
    fix: str = ""
    why: str | None = None
    severity: Severity = "error"

    def check(self, part: Looks, resource: Resource, why: str) -> Iterator[Problem]:
        """The problem, if it is one."""
        if found := self.when(part, resource):
            place, there = _look(part, self.at)
            shown = there if found is True else found
            what = _SENTENCES.vformat(self.what, (shown,), part.mapping())
            yield Problem(place, what, why if self.why is None else self.why, self.fix, self.severity)


Parts = Callable[[Resource], Iterable[Looks]]
Others = Callable[[Any, Resource], Iterable[Problem]]  # what a schema, or Ray, finds in a part
# What some rules are about, why they are (who refuses it, and where that stands in its code), the rules.
Row = tuple[Parts, str, tuple[Rule | Others, ...]]
Table = tuple[Row, ...]


def check(table: Table, resource: Resource) -> Iterator[Problem]:
    """What is broken. A rule that fails by itself is named, and the others are asked all the same."""
    for parts, why, rules in table:
        try:
            found = list(parts(resource))
        except Exception as error:
            yield failed(parts, error)
            continue
        for rule in rules if found else ():
            try:
                for part in found:
                    if isinstance(rule, Rule):
                        yield from rule.check(part, resource, why)
                    else:
                        yield from rule(part, resource)
            except Exception as error:
                yield failed(rule.when if isinstance(rule, Rule) else rule, error)


def failed(rule: Any, error: Exception) -> Problem:
    """On a part of a type that it didn't expect: what others find is no less true."""
    name = f"{rule.__module__.rpartition('.')[2]}.{rule.__name__}"
    what = f"the rules `{name}` ended in {type(error).__name__}: {error}"
    return Problem((), what, "they were not looked at to the end", severity="note")


def refused(function: str) -> str:
    """By KubeRay's operator or KServe's, in this function."""
    return f"{OPERATOR}: {function}"


def _look(part: Looks, at: str) -> tuple[Place, Any]:
    """Where that is, and what stands there."""
    first, _, name = at.partition(" ")
    if first == "env" and isinstance(part, Group):
        return part.env_place(name), name if name in part.env else None
    path = [_step(step) for step in at.split()]
    return (*part.place, *path), part.get(*path)


def _step(text: str) -> str | int:
    return int(text) if text.isdecimal() else text


# Parts.


def whole(resource: Resource) -> list[Looks]:
    """The document."""
    return [resource.whole]


def kind(*kinds: str) -> Parts:
    """The document, if it is of these kinds."""
    return lambda resource: [resource.whole] if resource.kind in kinds else []


def of(*kinds: str) -> Parts:
    """The spec of these kinds."""
    return lambda resource: [resource.spec] if resource.kind in kinds else []


def below(parts: Parts, *paths: str) -> Parts:
    """Mappings at these paths below them. `*` is each in a list, `{}` each in a mapping; `[]` whatever
    is in one of both."""

    def walk(part: Looks, steps: list[str]) -> Iterator[Looks]:
        if not steps:
            yield from [part] if isinstance(part.data, dict) else []
        elif steps[0] == "[]":
            yield from map(part.at, part.mapping() or range(len(part.items())))
        elif steps[0] in ("*", "{}"):
            for one in part.parts() if steps[0] == "*" else map(part.at, part.mapping()):
                yield from walk(one, steps[1:])
        else:
            yield from walk(part.at(_step(steps[0])), steps[1:])

    return lambda r: [found for one in parts(r) for path in paths for found in walk(one, path.split())]


def where(parts: Parts, condition: Callable[[Resource], object]) -> Parts:
    """Those parts, of resources for which it holds."""
    return lambda resource: parts(resource) if condition(resource) else ()


def configs(resource: Resource) -> list[Looks]:
    """The Serve config inside, if it can be read."""
    place, data, _ = resource.document.config or ((), None, None)
    return [Part(place, data)] if isinstance(data, dict) else []


def clusters(resource: Resource) -> list[Looks]:
    """The Ray cluster, where it is the resource's own."""
    return [resource.cluster] if resource.cluster.data else []


def groups(resource: Resource) -> list[Group]:
    """The head first."""
    return resource.cluster.groups


def heads(resource: Resource) -> list[Group]:
    return groups(resource)[:1]


def workers(resource: Resource) -> list[Group]:
    return groups(resource)[1:]


# Kinds of rules.


def always(part: Looks, _: Resource) -> bool:
    """No condition."""
    return True


def is_set(at: str) -> When:
    """Whether there is a value, be it an empty one."""
    return lambda part, _: part.get(*at.split()) is not None


def unwanted(
    at: str, what: str, fix: str = "leave it out", when: When = always, why: str | None = None
) -> Rule:
    """What must not be there at all, at times. To an operator an empty string or list is not there."""

    def broken(part: Looks, resource: Resource) -> bool:
        return _look(part, at)[1] not in (None, "", []) and bool(when(part, resource))

    return Rule(at, broken, what, fix, why)


def value(at: str, kind: type, fits: Callable[[Any], object], what: str, why: str | None = None) -> Rule:
    """A value of a type, where there is one, that is as it must be. True and false are no numbers."""

    def broken(part: Looks, _: Resource) -> bool:
        there = _look(part, at)[1]
        return isinstance(there, kind) and not isinstance(there, bool) and not fits(there)

    return Rule(at, broken, what, why=why)


def at_least(at: str, least: int) -> Rule:
    what = "{} is negative" if least == 0 else f"{{}} is not above {least - 1}"
    return value(at, int, lambda number: number >= least, what)


def between(at: str, least: int, most: int, what: str, why: str | None = None) -> Rule:
    return value(at, int, lambda number: least <= number <= most, what, why)


def port(at: str, least: int = 1) -> Rule:
    return between(at, least, 65535, "{} is no port: 1 to 65535")


def one_of(at: str, *known: str, why: str | None = None) -> Rule:
    return value(at, str, ("", *known).__contains__, f"'{{}}' is none of {', '.join(known)}", why)


def like(at: str, pattern: str, what: str, why: str | None = None) -> Rule:
    return value(at, str, re.compile(f"({pattern})?").fullmatch, what, why)


def one_alone(at: str, what: str, *keys: str, none: bool = True) -> Rule:
    """Of these keys one excludes the others; without `none` one must be there."""

    def broken(part: Looks, _: Resource) -> str:
        found = [key for key in keys if part.get(*at.split(), key) not in (None, "")]
        return " and ".join(found) or "none of them" if len(found) > 1 or not (found or none) else ""

    return Rule(at, broken, what)


def first_of(key: str) -> Rule:
    """An entry of a list whose name none before it has."""

    def broken(part: Looks, resource: Resource) -> str:
        *around, index = part.place
        before = items(resource.document.data, *around)[: int(index)]
        name = part.text(key)
        return name if any(get(one, key) == name for one in before) else ""

    return Rule(key, broken, "another '{}' came before")


def reserved(what: str, **names: tuple[str, ...]) -> Rule:
    """Entries of a list with the name, or the path, of something that the operator puts there."""

    def broken(part: Looks, _: Resource) -> str:
        return next((part.text(key) for key, some in names.items() if part.get(key) in some), "")

    return Rule("", broken, f"{{}}{what}", "leave it out: the operator sets it")


def noted(note: str, known: tuple[str, ...], what: str) -> Rule:
    """An annotation that has one of a few words."""

    def broken(part: Looks, _: Resource) -> str:
        word = part.get("metadata", "annotations", note)
        return "" if word in (None, *known) else f"'{word}' is no {what}{did_you_mean(str(word), known)}"

    return Rule(f"metadata annotations {note}", broken)
