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
        if self.severity == "note":
            return "; ".join(filter(None, (*lines, self.fix or self.why)))
        lines += [f"    why: {self.why}"] if self.why else []
        lines += [f"    fix: {self.fix}"] if self.fix else []
        return "\n".join(lines)


@dataclass
class Report:
    """Mistakes by place of one document, and where each place stands in the file."""

    file: str
    subject: str = ""
    lines: dict[Place, int] = field(default_factory=dict)
    files: dict[Place, str] = field(default_factory=dict)  # of parts that come from another one
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
        if inner.file != self.file:
            self.files[prefix] = inner.file
        for one in inner.found:
            self.add((*prefix, *one.place), one.what, one.why, one.fix, one.severity)

    def same(self, place: Place, as_one: Place) -> None:
        """`place`, and what is below it, stands where `as_one` does."""
        for known, line in list(self.lines.items()):
            if known[: len(as_one)] == as_one:
                self.lines[*place, *known[len(as_one) :]] = line

    def line(self, place: Place) -> int:
        """The line of a place, or of the nearest one around it that is in the file."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)

    def file_of(self, place: Place) -> str:
        """The file of a place: a patch may have brought it."""
        while place and place not in self.files:
            place = place[:-1]
        return self.files.get(place, self.file)

    def forget(self, place: Place) -> None:
        """What stood there, and below."""
        self.lines = {at: line for at, line in self.lines.items() if at[: len(place)] != place}
        self.files = {at: file for at, file in self.files.items() if at[: len(place)] != place}

    def removed(self, place: Place) -> None:
        """It is gone, and what came after it in a list is one further up."""
        self.forget(place)
        self.moved(place, -1)

    def moved(self, place: Place, by: int) -> None:
        """From this entry of a list on, all have another number; nothing for a key of a mapping."""

        def now(at: Place) -> Place:
            end = len(place) - 1
            step = at[end] if len(at) > end and at[:end] == place[:end] else None
            if not isinstance(step, int) or not isinstance(place[end], int) or step < int(place[end]):
                return at
            return (*at[:end], step + by, *at[end + 1 :])

        if place:
            self.lines = {now(at): line for at, line in self.lines.items()}
            self.files = {now(at): file for at, file in self.files.items()}

    def findings(self) -> Iterator[Finding]:
        """In the order of the file, each once."""
        seen = set()
        for one in sorted(self.found, key=self._order):
            if (one.place, one.what) not in seen:
                seen.add((one.place, one.what))
                file, line, place = self.file_of(one.place), self.line(one.place), join("", one.place)
                said = one.what, one.why, one.fix, one.severity
                yield Finding(file, line, self.subject, place, *said)

    def _order(self, one: Problem) -> tuple[bool, str, int]:
        file = self.file_of(one.place)
        return file != self.file, file, self.line(one.place)

    def __str__(self) -> str:
        """A line for each."""
        return "\n".join(str(one).partition("\n")[0] for one in self.findings())
