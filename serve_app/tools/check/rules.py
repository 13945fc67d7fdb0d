"""Rules as a table: what must not be, where, why, how to mend it, and who says so."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from serve_app.tools.kube.documents import Document
from serve_app.tools.kube.findings import Place, Problem, Severity
from serve_app.tools.kube.part import Looks, Part
from serve_app.tools.kube.ray_cluster import Group, RayCluster

REFUSED = "the operator refuses the resource"


@dataclass(frozen=True)
class Ray:
    """A resource of KubeRay's, as rules see it."""

    document: Document
    cluster: RayCluster

    @property
    def kind(self) -> str:
        return self.document.kind

    @property
    def whole(self) -> Part:
        return Part((), self.document.data)

    @property
    def spec(self) -> Part:
        """What the operator takes for the resource's spec; a job's that of its template."""
        return (
            self.whole.at("spec", "jobTemplate") if self.kind == "RayCronJob" else self.whole.at("spec")
        )

    def note(self, name: str) -> str:
        """An annotation that the operator reads; it doesn't look at a template's."""
        return "" if self.kind == "RayCronJob" else self.whole.text("metadata", "annotations", name)

    def older(self, *version: int) -> bool:
        """Whether the cluster's Ray is older, or says nothing of its version."""
        return self.cluster.version is None or self.cluster.version < version


When = Callable[[Any, Ray], object]


@dataclass(frozen=True)
class Rule:
    """`at` says where, with a space between steps; `env X` is the variable X of a group.

    `when` says whether it is broken, or with what: that takes the place of `{}`.
    """

    at: str
    when: When
    what: str
    fix: str = ""
    why: str = REFUSED
    severity: Severity = "error"

    def check(self, part: Looks, ray: Ray) -> Iterator[Problem]:
        """The problem, if it is one."""
        if found := self.when(part, ray):
            place, _ = _look(part, self.at)
            yield Problem(place, self.what.format(found), self.why, self.fix, self.severity)


def _look(part: Looks, at: str) -> tuple[Place, Any]:
    """Where that is, and what stands there."""
    first, _, name = at.partition(" ")
    if first == "env" and isinstance(part, Group):
        return part.env_place(name), name if name in part.env else None
    path = [int(step) if step.isdecimal() else step for step in at.split()]
    return (*part.place, *path), part.get(*path)


def always(part: Looks, ray: Ray) -> bool:
    """No condition."""
    return True


def unwanted(
    at: str, what: str, fix: str = "leave it out", when: When = always, why: str = REFUSED
) -> Rule:
    """What must not be there at all, at times. To the operator an empty string or list is not there."""

    def broken(part: Looks, ray: Ray) -> bool:
        return _look(part, at)[1] not in (None, "", []) and bool(when(part, ray))

    return Rule(at, broken, what, fix, why)


def at_least(at: str, least: int) -> Rule:
    """A number with a lower bound."""

    def broken(part: Looks, ray: Ray) -> str:
        number = part.number(*at.split())
        return "" if number is None or number >= least else str(number)

    return Rule(at, broken, "{} is negative" if least == 0 else f"{{}} is not above {least - 1}")


def reserved(what: str, **names: tuple[str, ...]) -> Rule:
    """Entries of a list with the name, or the path, of something that the operator puts there."""

    def broken(part: Looks, ray: Ray) -> str:
        return next((part.text(key) for key, some in names.items() if part.get(key) in some), "")

    return Rule("", broken, f"{{}}{what}", "leave it out: the operator sets it")


def one_of(at: str, known: tuple[str, ...], why: str = REFUSED) -> Rule:
    """A word out of a few."""

    def broken(part: Looks, ray: Ray) -> str:
        word = part.text(*at.split())
        return "" if word in ("", *known) else f"'{word}' is none of {', '.join(known)}"

    return Rule(at, broken, "{}", why=why)


Parts = Callable[[Ray], Iterable[Looks]]
# What a rule is about, the function of the operator's that it comes from, and the rules.
Table = tuple[tuple[Parts, str, tuple[Rule, ...]], ...]


def check(table: Table, document: Document, cluster: RayCluster) -> Iterator[Problem]:
    """Every rule on every part that it is about."""
    ray = Ray(document, cluster)
    for parts, source, rules in table:
        for part in parts(ray):
            for rule in rules:
                for one in rule.check(part, ray):
                    yield replace(one, why=f"{REFUSED}: {source}") if one.why == REFUSED else one


def whole(ray: Ray) -> list[Looks]:
    """The document."""
    return [ray.whole]


def clusters(ray: Ray) -> list[Looks]:
    """The cluster, where it is the resource's own."""
    return [ray.cluster] if ray.cluster.data else []


def heads(ray: Ray) -> list[Group]:
    return ray.cluster.groups[:1]


def groups(ray: Ray) -> list[Group]:
    return ray.cluster.groups


def workers(ray: Ray) -> list[Group]:
    return ray.cluster.groups[1:]


def of(*kinds: str) -> Parts:
    """The spec of these kinds."""
    return lambda ray: [ray.spec] if ray.kind in kinds else []
