"""What came of a shadow's copies: counts by pair of versions, the share that differs and its interval.

Plain numbers, so that those of several Routers can be added up (`summed`).
"""

import math
import time
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from serve_app.routing.comparing import ERROR, Compared

CONFIDENCE = 0.95
_Z = 1.959963984540054  # the normal distribution's quantile of (1 + CONFIDENCE) / 2
_MOST_OUTPUTS = 64


def wilson(count: int, of: int) -> tuple[float, float]:
    """Wilson's score interval of a share, of CONFIDENCE, for one look at it (E. B. Wilson, Journal of
    the American Statistical Association 22, 1927). Who looks until it pleases needs another one.
    """
    if not of:
        return 0.0, 1.0
    share, z2 = count / of, _Z * _Z
    middle = (share + z2 / (2 * of)) / (1 + z2 / of)
    half = _Z / (1 + z2 / of) * math.sqrt(share * (1 - share) / of + z2 / (4 * of * of))
    # At the ends it is exact, which rounding isn't.
    return (0.0 if not count else max(0.0, middle - half)), (
        1.0 if count == of else min(1.0, middle + half)
    )


@dataclass(slots=True)
class Pair:
    """Answers of version `primary` beside those of `shadow`.

    `kinds`: comparisons in which each kind of difference was found; `errors`, on which side; `outputs`,
    how many differ in each, and by how much at most; `texts`: how many generated answers, and tokens
    that both begin with, of the longer ones, of the answers and of the copies; `seconds`, how long
    answers and copies took, all together.
    """

    primary: str
    shadow: str
    since: float = field(default_factory=time.time)
    compared: int = 0
    differed: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    outputs: dict[str, list[float]] = field(default_factory=dict)
    texts: list[int] = field(default_factory=lambda: [0, 0, 0, 0, 0])
    seconds: list[float] = field(default_factory=lambda: [0.0, 0.0])
    examples: deque[Mapping[str, Any]] = field(default_factory=deque)

    def count(self, found: Compared, seconds: tuple[float, float]) -> None:
        """One more comparison."""
        self.compared += 1
        self.seconds = [self.seconds[0] + seconds[0], self.seconds[1] + seconds[1]]
        if found.differences:
            self.differed += 1
            self.kinds.update({one.kind for one in found.differences})
        for one in found.differences:
            if one.kind == ERROR:
                self.errors[one.output] += 1
            elif one.output in self.outputs or len(self.outputs) < _MOST_OUTPUTS:
                known = self.outputs.setdefault(one.output, [0, 0.0])
                known[0] += 1
                known[1] = max(known[1], one.worst)
        if found.texts is not None:
            texts = found.texts
            more = (1, texts.common, texts.longer, texts.answer, texts.copy)
            self.texts = [a + b for a, b in zip(self.texts, more, strict=True)]

    @property
    def plain(self) -> dict[str, Any]:
        """As JSON has it, with what follows from the counts."""
        return _completed(
            {
                "primary": self.primary, "shadow": self.shadow, "since": round(self.since, 3),
                "compared": self.compared, "differed": self.differed, "kinds": dict(self.kinds),
                "errors": dict(self.errors),
                "outputs": {
                    name: {"differed": int(count), "worst": _number(worst)}
                    for name, (count, worst) in self.outputs.items()
                },
                "texts": list(self.texts), "seconds": [round(one, 6) for one in self.seconds],
                "examples": list(self.examples),
            }
        )  # fmt: skip


def _number(worst: float) -> float | None:
    """JSON has no infinity."""
    return worst if math.isfinite(worst) else None


def _completed(pair: dict[str, Any]) -> dict[str, Any]:
    compared, differed = pair["compared"], pair["differed"]
    pair["share"] = differed / compared if compared else 0.0
    low, high = wilson(differed, compared)
    pair["interval"] = {"low": low, "high": high, "confidence": CONFIDENCE, "method": "Wilson"}
    answers, common, longer, mine, copies = pair["texts"]
    if answers:
        agree = common / longer if longer else 1.0
        pair["agreement"] = {"answers": answers, "tokens": agree, "length": [mine, copies]}
    return pair


def summed(routers: Iterable[Mapping[str, Any]], examples: int) -> dict[str, Any]:
    """Of several Routers' `plain` of one model's shadow: counts added up, the last examples."""
    pairs: dict[tuple[str, str], dict[str, Any]] = {}
    total: dict[str, Any] = {"copied": 0, "waiting": 0, "dropped": Counter()}
    for one in routers:
        total["copied"] += one["copied"]
        total["waiting"] += one["waiting"]
        total["dropped"].update(one["dropped"])
        for pair in one["pairs"]:
            key = pair["primary"], pair["shadow"]
            pairs[key] = _added(pairs[key], pair) if key in pairs else dict(pair)
    for pair in pairs.values():
        newest = sorted(pair["examples"], key=lambda example: float(example["time"]))
        pair["examples"] = newest[-examples:] if examples else []
        _completed(pair)
    return {**total, "dropped": dict(total["dropped"]), "pairs": [pairs[key] for key in sorted(pairs)]}


def _added(one: dict[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    outputs = {name: dict(said) for name, said in one["outputs"].items()}
    for name, said in other["outputs"].items():
        known = outputs.setdefault(name, {"differed": 0, "worst": 0.0})
        known["differed"] += said["differed"]
        both = known["worst"], said["worst"]
        known["worst"] = None if None in both else max(both)
    return {
        **one,
        "since": min(one["since"], other["since"]),
        "compared": one["compared"] + other["compared"],
        "differed": one["differed"] + other["differed"],
        "kinds": dict(Counter(one["kinds"]) + Counter(other["kinds"])),
        "errors": dict(Counter(one["errors"]) + Counter(other["errors"])),
        "outputs": outputs,
        "texts": [a + b for a, b in zip(one["texts"], other["texts"], strict=True)],
        "seconds": [a + b for a, b in zip(one["seconds"], other["seconds"], strict=True)],
        "examples": [*one["examples"], *other["examples"]],
    }
