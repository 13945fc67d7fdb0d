"""What became of each field of a document: it is carried, or somebody says why it isn't.

Nothing goes missing: `Ledger.left` are the leaves that nobody spoke of.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from serve_app.tools.kube.findings import Place, Problem, Severity
from serve_app.tools.kube.part import Looks

_NAMES = {str: "text", int: "a whole number", dict: "a mapping", list: "a list"}


def leaves(data: Any, place: Place = ()) -> Iterator[Place]:
    """The place of every value that holds no others."""
    inner: Iterable[tuple[str | int, Any]] = ()
    if isinstance(data, dict):
        inner = data.items()
    elif isinstance(data, list):
        inner = enumerate(data)
    if isinstance(data, dict | list) and data:
        for step, value in inner:
            yield from leaves(value, (*place, step))
    else:
        yield place


@dataclass
class Ledger:
    """Of one document. `carried`: places that, with all below them, are in what is made of it."""

    carried: set[Place] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)
    ours: set[Problem] = field(default_factory=set)  # errors of what KServe runs, and Tandem doesn't

    def say(
        self, place: Place, what: str, why: str = "", fix: str = "", severity: Severity = "error"
    ) -> None:
        """Put down one problem."""
        self.problems.append(Problem(place, what, why, fix, severity))

    def fate(self, place: Place) -> str:
        """`carried`, `said`, or '' for what nobody spoke of."""
        around = [place[:end] for end in range(len(place) + 1)]
        if any(one in self.carried for one in around):
            return "carried"
        # What is said of the whole document says nothing of its fields.
        said = {one.place for one in self.problems if one.place}
        return "said" if any(one in said for one in around) else ""

    def left(self, data: Any) -> list[Place]:
        """Leaves without a fate."""
        return [one for one in leaves(data) if not self.fate(one)]


@dataclass(frozen=True)
class Field(Looks):
    """A part of a document that is read, at `place`. Who takes a value says that it is carried."""

    place: Place
    data: Any
    ledger: Ledger

    def __bool__(self) -> bool:
        return self.data is not None

    def at(self, *path: str | int) -> "Field":  # type: ignore[override]
        """A smaller part."""
        return Field((*self.place, *path), self.get(*path), self.ledger)

    def each(self, *path: str | int) -> Iterator["Field"]:
        """The entries of a list; a wrong type is said."""
        found = self.at(*path).of(list)
        for index in range(len(found or [])):
            yield self.at(*path, index)

    def inner(self) -> Iterator["Field"]:
        """The values of a mapping, each at its place."""
        for key in self.data if isinstance(self.data, dict) else ():
            yield self.at(key)

    @property
    def key(self) -> str:
        """Its own name."""
        return str(self.place[-1])

    def of(self, kind: type) -> Any:
        """The value, if it is of a type; None, and said, if it is of another."""
        good = isinstance(self.data, kind) and not (kind is int and isinstance(self.data, bool))
        if self.data is None or good:
            return self.data
        shown = type(self.data).__name__ if isinstance(self.data, dict | list) else repr(self.data)
        self.wrong(f"expected {_NAMES[kind]}, got {shown}", "KServe's CRD refuses it")
        return None

    def carry(self) -> Any:
        """The value, which is in what is made of the document."""
        if self:
            self.ledger.carried.add(self.place)
        return self.data

    def take(self, kind: type) -> Any:
        """`of` and `carry`."""
        found = self.of(kind)
        if found is not None:
            self.carry()
        return found

    def wrong(self, what: str, why: str = "", fix: str = "") -> None:
        """It can't be served as it is, by anybody."""
        self.ledger.say(self.place, what, why, fix)

    def refuse(self, what: str, why: str = "", fix: str = "") -> None:
        """KServe runs it, and Tandem can't."""
        if self:
            self.ledger.say(self.place, what, why, fix)
            self.ledger.ours.add(self.ledger.problems[-1])

    def warn(self, what: str, why: str = "", fix: str = "") -> None:
        """It isn't carried, and what is served differs in a way that one may notice."""
        if self:
            self.ledger.say(self.place, what, why, fix, "warning")

    def note(self, what: str, why: str = "", fix: str = "") -> None:
        """It isn't carried, or not as it stands, and nobody has to do anything about it."""
        if self:
            self.ledger.say(self.place, what, why, fix, "note")
