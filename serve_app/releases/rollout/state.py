"""A rollout as it stands: plain values, the same again after they were written and read. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

from serve_app.config import Metric, Rollout, parse
from serve_app.releases.rollout.evidence import Evidence
from serve_app.releases.rollout.wealth import Wealth, mean

Phase = Literal["pending", "running", "paused", "inconclusive", "promoted", "rolledBack", "aborted"]
OVER = ("promoted", "rolledBack", "aborted")
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Track:
    """Of one metric: the evidence against "it is fine" and "it is bad". `tail`: more against the first,
    of a latency where its tail begins.

    For those that are looked at now and then: when it was last, what came since, how many looks there
    were, at how many of them the new version was worse, and worse by the margin; the last values.
    """

    fine: Wealth = field(default_factory=Wealth)
    bad: Wealth = field(default_factory=Wealth)
    looked: float | None = None
    since: Evidence = field(default_factory=Evidence)
    looks: tuple[int, int, int] = (0, 0, 0)
    last: tuple[float, float] | None = None
    tail: Wealth | None = None

    @property
    def worse(self) -> float:
        """The logarithm of all evidence against "it is fine"."""
        return self.fine.log if self.tail is None else mean((self.fine.log, self.tail.log))

    @property
    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        said: dict[str, Any] = {"fine": self.fine.plain, "bad": self.bad.plain}
        if self.tail is not None:
            said["tail"] = self.tail.plain
        if self.looked is None:
            return said
        last = list(self.last) if self.last else None
        return {
            **said, "looked": self.looked, "since": self.since.plain, "looks": list(self.looks),
            "last": last,
        }  # fmt: skip

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> "Track":
        """The same back."""
        fine, bad = Wealth.of(plain["fine"]), Wealth.of(plain["bad"])
        if "looked" not in plain:
            tail = plain.get("tail")
            return cls(fine, bad, tail=None if tail is None else Wealth.of(tail))
        one, two, three = plain["looks"]
        last = plain["last"]
        return cls(
            fine, bad, plain["looked"], Evidence.of(plain["since"]), (one, two, three),
            (last[0], last[1]) if last else None,
        )  # fmt: skip


@dataclass(frozen=True)
class State:
    """`since`: when its step or phase began, `began`: when it began itself; time in which it was paused
    counts for neither. `held`: since when it waits for better evidence before the next step.
    `answered`: requests of the new version in this step. `advice`: what a dry run would have done.
    """

    id: str
    model: str
    said: Mapping[str, Any]
    baseline: str
    phase: Phase = "pending"
    step: int = 0
    began: float = 0.0
    since: float = 0.0
    answered: int = 0
    paused: float | None = None
    held: float | None = None
    advice: str = ""
    total: Evidence = field(default_factory=Evidence)
    block: Evidence = field(default_factory=Evidence)
    opened: float | None = None
    tracks: Mapping[str, Track] = field(default_factory=dict)

    @cached_property
    def config(self) -> Rollout:
        """What was asked for."""
        return parse(Rollout, self.said, f"routing.{self.model}.rollout")

    @property
    def over(self) -> bool:
        """Whether nothing can change any more."""
        return self.phase in OVER

    @property
    def weights(self) -> dict[str, float]:
        """Percent of the requests by version."""
        if self.phase == "promoted":
            share = 100.0
        elif self.phase in ("pending", "rolledBack", "aborted"):
            share = 0.0
        else:
            share = self.config.steps[self.step].weight
        return {self.config.version: share, self.baseline: 100.0 - share}

    @property
    def deciding(self) -> list[Metric]:
        """The metrics that decide."""
        return [metric for metric in self.config.metrics if not metric.dry_run]

    @property
    def seen(self) -> Evidence:
        """All that came."""
        return self.total + self.block

    def track(self, metric: Metric) -> Track:
        """Of that metric."""
        return self.tracks.get(metric.called) or Track()

    @property
    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        names = (
            "id", "model", "baseline", "phase", "step", "began", "since", "answered", "paused", "held",
            "advice", "opened",
        )  # fmt: skip
        return {
            "format": _FORMAT,
            **{name: getattr(self, name) for name in names},
            "said": dict(self.said),
            "total": self.total.plain,
            "block": self.block.plain,
            "tracks": {name: track.plain for name, track in self.tracks.items()},
        }

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> "State":
        """The same back; ValueError where it is of another version of Tandem."""
        said = dict(plain)
        if said.pop("format", None) != _FORMAT:
            raise ValueError("the state of the rollout is of another version of Tandem")
        tracks = {name: Track.of(track) for name, track in said["tracks"].items()}
        evidence = {name: Evidence.of(said[name]) for name in ("total", "block")}
        return cls(**{**said, **evidence, "tracks": tracks})

    def now(self, **changed: Any) -> "State":
        """With that changed, what was asked for aside."""
        made = replace(self, **changed)
        made.__dict__["config"] = self.config  # read once
        return made
