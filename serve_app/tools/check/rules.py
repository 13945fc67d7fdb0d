"""Rules as a table: what must not be, where, why, how to mend it, and who says so."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from serve_app.config import did_you_mean
from serve_app.tools.kube.documents import Document, get, items
from serve_app.tools.kube.findings import Place, Problem, Severity
from serve_app.tools.kube.part import Looks, Part
from serve_app.tools.kube.ray_cluster import Group, RayCluster

API_SERVER = "the API server refuses it"
OPERATOR = "the operator refuses the resource"
PROTOCOLS = ("TCP", "UDP", "SCTP")


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
    the place of `{}`. Without a `why` of its own it has that of its row.
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
            place, _ = _look(part, self.at)
            reason = why if self.why is None else self.why
            yield Problem(place, self.what.format(found), reason, self.fix, self.severity)


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
    is in a list."""

    def walk(part: Looks, steps: list[str]) -> Iterator[Looks]:
        if not steps:
            yield from [part] if isinstance(part.data, dict) else []
        elif steps[0] == "[]":
            yield from (part.at(index) for index in range(len(part.items())))
        elif steps[0] in ("*", "{}"):
            for one in part.parts() if steps[0] == "*" else map(part.at, part.mapping()):
                yield from walk(one, steps[1:])
        else:
            yield from walk(part.at(_step(steps[0])), steps[1:])

    return lambda r: [found for one in parts(r) for path in paths for found in walk(one, path.split())]


def configs(resource: Resource) -> list[Looks]:
    """The Serve config inside, if it can be read."""
    place, data, _ = resource.document.config or ((), None, None)
    return [Part(place, data)] if isinstance(data, dict) else []


def clusters(resource: Resource) -> list[Looks]:
    """The Ray cluster, where it is the resource's own."""
    return [resource.cluster] if resource.cluster.data else []


def heads(resource: Resource) -> list[Group]:
    return resource.cluster.groups[:1]


def groups(resource: Resource) -> list[Group]:
    return resource.cluster.groups


def workers(resource: Resource) -> list[Group]:
    return resource.cluster.groups[1:]


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


def at_least(at: str, least: int) -> Rule:
    """A number with a lower bound."""

    def broken(part: Looks, _: Resource) -> str:
        number = part.number(*at.split())
        return "" if number is None or number >= least else str(number)

    return Rule(at, broken, "{} is negative" if least == 0 else f"{{}} is not above {least - 1}")


def between(at: str, least: int, most: int, what: str, why: str | None = None) -> Rule:
    """A number with two bounds."""

    def broken(part: Looks, _: Resource) -> str:
        number = part.number(*at.split())
        return "" if number is None or least <= number <= most else str(number)

    return Rule(at, broken, what, why=why)


def port(at: str, least: int = 1) -> Rule:
    return between(at, least, 65535, "{} is no port: 1 to 65535")


def one_of(at: str, *known: str, why: str | None = None) -> Rule:
    """A word out of a few."""

    def broken(part: Looks, _: Resource) -> str:
        word = part.text(*at.split())
        return "" if word in ("", *known) else f"'{word}' is none of {', '.join(known)}"

    return Rule(at, broken, why=why)


def like(at: str, pattern: str, what: str, why: str | None = None) -> Rule:
    """A text of a form, where there is one."""

    def broken(part: Looks, _: Resource) -> str:
        text = part.text(*at.split())
        return "" if re.fullmatch(f"({pattern})?", text) else text

    return Rule(at, broken, what, why=why)


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
