"""A part of a document, and looks into it that give what was asked for whatever stands there."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from serve_app.tools.kube.documents import get
from serve_app.tools.kube.findings import Place


class Looks:
    """What is at a path below the part: a value of another type is none, and never an error."""

    place: Place
    data: Any

    def get(self, *path: str | int) -> Any:
        """The value as it is."""
        return get(self.data, *path)

    def text(self, *path: str | int) -> str:
        """A string, or ''."""
        found = self.get(*path)
        return found if isinstance(found, str) else ""

    def number(self, *path: str | int) -> int | None:
        """A whole number."""
        found = self.get(*path)
        return found if isinstance(found, int) and not isinstance(found, bool) else None

    def mapping(self, *path: str | int) -> dict[Any, Any]:
        """A mapping, or an empty one."""
        found = self.get(*path)
        return found if isinstance(found, dict) else {}

    def items(self, *path: str | int) -> list[Any]:
        """A list, or an empty one."""
        found = self.get(*path)
        return found if isinstance(found, list) else []

    def at(self, *path: str | int) -> "Part":
        """A smaller part."""
        return Part((*self.place, *path), self.get(*path))

    def parts(self, *path: str | int) -> Iterator["Part"]:
        """Those entries of a list that are mappings."""
        for index, one in enumerate(self.items(*path)):
            if isinstance(one, dict):
                yield Part((*self.place, *path, index), one)


@dataclass(frozen=True)
class Part(Looks):
    """At `place` of its document."""

    place: Place
    data: Any
