"""The table."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from loadtests.rollouts.services import BAD, GOOD, End, Kind
from loadtests.rollouts.tuning import bad_answers


@dataclass(frozen=True)
class Row:
    """A rule, how it is set, and how rollouts of each kind ended by it."""

    rule: str
    setting: str
    ends: dict[Kind, list[End]]

    @property
    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        figures: dict[str, Any] = {}
        for kind, found in self.ends.items():
            requests = [one.requests for one in found]
            figures[kind] = {
                "rolled_back": sum(one.rolled_back for one in found),
                "of": len(found),
                "requests_median": float(np.median(requests)),
                "requests_mean": float(np.mean(requests)),
                "requests_p95": float(np.quantile(requests, 0.95)),
                "seconds_median": float(np.median([one.seconds for one in found])),
            }
            if kind in BAD:
                figures[kind]["bad_answers_mean"] = bad_answers(kind, found)
        return {"rule": self.rule, "setting": self.setting, **figures}


def table(rows: list[Row]) -> str:
    """In Markdown, the settings below it."""
    head = [
        "rule", *(f"rolled back: {kind}" for kind in GOOD), *(f"missed: {kind}" for kind in BAD),
        *(f"requests: {kind}" for kind in BAD), *(f"bad answers: {kind}" for kind in BAD),
    ]  # fmt: skip
    lines = [_line(head), _line(["---"] * len(head))]
    for row in rows:
        lines.append(
            _line(
                [
                    row.rule,
                    *(_percent([one.rolled_back for one in row.ends[kind]]) for kind in GOOD),
                    *(_percent([not one.rolled_back for one in row.ends[kind]]) for kind in BAD),
                    *(f"{np.median([one.requests for one in row.ends[kind]]):,.0f}" for kind in BAD),
                    *(f"{bad_answers(kind, row.ends[kind]):,.1f}" for kind in BAD),
                ]
            )
        )
    settings = [f"- {row.rule}: {row.setting}" for row in rows]
    return "\n".join([*lines, "", *settings])


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _percent(found: list[bool]) -> str:
    return f"{100 * sum(found) / len(found):.1f} %"
