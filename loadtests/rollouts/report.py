"""The table."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from loadtests.rollouts.services import BAD, GOOD
from loadtests.rollouts.tuning import ByKind


@dataclass(frozen=True)
class Row:
    """A rule, how it is set, and how rollouts of each kind ended by it."""

    rule: str
    setting: str
    ends: ByKind

    @property
    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        figures: dict[str, Any] = {}
        for kind, found in self.ends.items():
            figures[kind] = {
                "rolled_back": int(found.back.sum()),
                "of": len(found.back),
                "requests_median": float(np.median(found.requests)),
                "requests_mean": float(found.requests.mean()),
                "requests_p95": float(np.quantile(found.requests, 0.95)),
                "seconds_median": float(np.median(found.seconds)),
            }
            if kind in BAD:
                figures[kind]["bad_answers_mean"] = found.bad_answers(kind)
        return {"rule": self.rule, "setting": self.setting, **figures}


def table(rows: list[Row]) -> str:
    """In Markdown, the settings below it. Of bad versions: missed, requests (median), bad answers
    (mean).
    """
    kinds = (*GOOD, *BAD)
    lines = [_line(["rule", *kinds]), _line(["---"] * (1 + len(kinds)))]
    for row in rows:
        cells = [row.rule, *(f"{row.ends[kind].back.mean():.1%}" for kind in GOOD)]
        for kind in BAD:
            found = row.ends[kind]
            missed, requests = (~found.back).mean(), np.median(found.requests)
            cells.append(f"{missed:.1%}, {requests:,.0f}, {found.bad_answers(kind):,.1f}")
        lines.append(_line(cells))
    settings = [f"- {row.rule}: {row.setting}" for row in rows]
    return "\n".join([*lines, "", *settings])


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
