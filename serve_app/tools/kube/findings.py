"""What is wrong with a document, and where it stands in its file."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from serve_app.config import join

Place = tuple[str | int, ...]
Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class Problem:
    """One mistake, at a place of a document: what it is, why that matters, how to mend it."""

    place: Place
    what: str
    why: str = ""
    fix: str = ""
    severity: Severity = "error"


@dataclass(frozen=True)
class Finding:
    """One mistake, at a line of a file."""

    file: str
    line: int
    subject: str  # `RayService/tandem`, or '' for a Serve config
    place: str
    what: str
    why: str
    fix: str
    severity: Severity

    def __str__(self) -> str:
        mark = "" if self.severity == "error" else f"{self.severity}: "
        where = f"{self.subject}: {self.place}" if self.subject else self.place
        lines = [f"{self.file}:{self.line}: {mark}{where}: {self.what}"]
        lines += [f"    why: {self.why}"] if self.why else []
        lines += [f"    fix: {self.fix}"] if self.fix else []
        return "\n".join(lines)


@dataclass
class Report:
    """Mistakes by place of one document, and where each place stands in the file."""

    file: str
    subject: str = ""
    lines: dict[Place, int] = field(default_factory=dict)
    found: list[Problem] = field(default_factory=list)

    def add(
        self, place: Place, what: str, why: str = "", fix: str = "", severity: Severity = "error"
    ) -> None:
        self.found.append(Problem(place, what, why, fix, severity))

    def extend(self, problems: Iterable[Problem]) -> None:
        self.found.extend(problems)

    def take(self, inner: "Report", prefix: Place) -> None:
        """What was found in a document inside this one."""
        self.lines.update({(*prefix, *place): line for place, line in inner.lines.items()})
        for one in inner.found:
            self.add((*prefix, *one.place), one.what, one.why, one.fix, one.severity)

    def line(self, place: Place) -> int:
        """The line of a place, or of the nearest one around it that is in the file."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)

    def findings(self) -> Iterator[Finding]:
        """In the order of the file, each once."""
        seen = set()
        for one in sorted(self.found, key=lambda one: self.line(one.place)):
            if (one.place, one.what) not in seen:
                seen.add((one.place, one.what))
                yield Finding(
                    self.file,
                    self.line(one.place),
                    self.subject,
                    join("", one.place),
                    one.what,
                    one.why,
                    one.fix,
                    one.severity,
                )

    def __str__(self) -> str:
        """A line for each."""
        return "\n".join(str(one).partition("\n")[0] for one in self.findings())
