"""What bets of 1 against one hypothesis have grown to: the evidence against it. Pure."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

# Put on the first window; the rest is kept for later ones.
AT_ONCE = 0.9
_LEAST = -1e6


@dataclass(frozen=True, slots=True)
class Wealth:
    """`at_work`: logarithm of what is bet on each window that comes; `windows`: so many came.

    A part is kept back and put to work little by little, so that the evidence is a mixture over the
    moments from which on the hypothesis fails. Without it a version that is good for an hour and then
    leaks would have to win back first what that hour cost. That is still one bet of 1, so nothing about
    the error rates changes (mixtures over starts: Shin, Ramdas and Rinaldo, E-detectors, 2023).
    """

    at_work: float = -math.inf
    windows: int = 0

    def after(self, log_e: float) -> "Wealth":
        """With one more window, whose e-value has that logarithm."""
        count = self.windows + 1
        put = math.log(_kept(self.windows) - _kept(count))
        return Wealth(max(_add(self.at_work, put) + log_e, _LEAST), count)

    @property
    def log(self) -> float:
        """The logarithm of the evidence: of what is at work, and of what is kept."""
        return _add(self.at_work, math.log(_kept(self.windows)))

    @property
    def plain(self) -> list[float]:
        """As JSON has it."""
        return [self.at_work if self.windows else 0.0, self.windows]

    @classmethod
    def of(cls, plain: Iterable[float]) -> "Wealth":
        """The same back."""
        at_work, windows = plain
        return cls(at_work, int(windows)) if windows else cls()


def mean(logs: Iterable[float]) -> float:
    """The logarithm of the mean of what has these logarithms: evidence against all of the hypotheses
    together (Vovk and Wang, E-values: calibration, combination and applications, 2021). It is never less
    than what Bonferroni's correction leaves of the largest.
    """
    known = list(logs)
    most = max(known)
    return most + math.log(sum(math.exp(one - most) for one in known) / len(known))


def _kept(windows: int) -> float:
    return 1.0 if not windows else (1 - AT_ONCE) / (1 + math.log(windows))


def _add(one: float, other: float) -> float:
    high, low = (one, other) if one > other else (other, one)
    return high + math.log1p(math.exp(low - high)) if low > -math.inf else high
