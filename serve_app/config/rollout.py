"""A rollout of one model: by which steps a new version gets traffic, what is measured, what decides."""

import re
from collections.abc import Iterator
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from serve_app.config.base import Config, Place, refuse
from serve_app.config.expressions import names
from serve_app.config.policy import version_text

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd])")
# Which kinds know a key that not all of them know.
_OWN = {
    "quantile": ("latency",), "tail": ("latency",), "tolerated": ("disagreement",),
    "expression": ("expression",),
    "address": ("prometheus",), "query": ("prometheus",), "worse": ("expression", "prometheus"),
    "interval": ("expression", "prometheus"),
}  # fmt: skip
_NEEDED = {"expression": ("expression",), "prometheus": ("address", "query")}
SHARES = ("errorRate", "disagreement")
_FINEST = 0.03  # of a latency's relative margin: more than a bucket of its histogram


def seconds(said: Any) -> Any:
    """`90s`, `5m`, `2h`, `1d` as seconds; a number as it is."""
    if not isinstance(said, str):
        return said
    if found := _DURATION.fullmatch(said.strip()):
        return float(found[1]) * _UNITS[found[2]]
    raise ValueError(f"expected seconds, or text as 90s, 5m or 2h, got '{said}'")


class Step(Config):
    """A share of the requests, and how long it is held."""

    weight: float = Field(ge=0, lt=100)
    """Percent of the requests that the new version gets; 0 is none but those that ask for it, and
    copies. Always below 100, for the other version is what it is compared with: promotion makes it 100.
    """
    duration: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Seconds that the step takes at least, or text as `5m`, `2h`."""
    requests: int | None = Field(default=None, ge=1)
    """Requests that the new version has to have answered in it, or that were compared."""
    pause: bool = False
    """Whether it goes on only when somebody says `resume`, after its duration and requests."""

    _seconds = field_validator("duration", mode="before")(seconds)

    @model_validator(mode="after")
    def _ends(self) -> Self:
        if self.duration is None and self.requests is None and not self.pause:
            raise ValueError("a step ends by `duration`, `requests` or `pause: true`: one is needed")
        return self


class Metric(Config):
    """Something in which the new version may be worse."""

    kind: Literal["errorRate", "latency", "disagreement", "expression", "prometheus"]
    """What is measured: the share of requests that fail by the server's fault, a quantile of their
    time, the share of answers that differ from the other version's, arithmetic over the service's
    own metrics, or a query to a Prometheus.
    """
    name: str = Field(default="", max_length=64)
    """What records and reports call it; without it, its kind."""
    margin: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """So much worse is bad, in the metric's own unit: a share (0.01 is one more of a hundred), seconds.
    """
    relative_margin: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """The same as a share of what the other version has: 0.2 is a fifth more."""
    quantile: Literal["p50", "p75", "p90", "p95", "p99"] = "p99"
    """For latency: which one."""
    tail: bool = True
    """For latency: whether a rollback also rests on where the slow requests begin: on p95 for p99, p75
    for p95. What makes the slowest ones longer is found there with far fewer requests.
    """
    tolerated: float = Field(default=0.001, gt=0, lt=1)
    """For disagreement: the share of answers that may differ between two good versions."""
    expression: str = ""
    """For expression: names of metrics, numbers, `+ - * /`, brackets, `min` and `max`."""
    address: str = ""
    """For prometheus: where it answers, as `http://prometheus.monitoring:9090`."""
    query: str = ""
    """For prometheus: PromQL that gives one number; `{{version}}` in it stands for the version,
    `{{model}}` for the model.
    """
    worse: Literal["higher", "lower"] = "higher"
    """For expression and prometheus: which values are the worse ones."""
    interval: float = Field(default=60, gt=0, allow_inf_nan=False)
    """For expression and prometheus: seconds between two looks; at least as long as a query looks back.
    """
    dry_run: bool = False
    """Whether it is measured and recorded, and decides nothing."""

    _seconds = field_validator("interval", mode="before")(seconds)

    @field_validator("expression")
    @classmethod
    def _measures(cls, text: str) -> str:
        names(text)
        return text

    @field_validator("query")
    @classmethod
    def _asks_of_a_version(cls, text: str) -> str:
        if "{{version}}" not in re.sub(r"\{\{\s*(\w+)\s*\}\}", r"{{\1}}", text):
            raise ValueError(
                "a query is asked for each of two versions: expected {{version}} in it, as in "
                'rate(errors{model_version="{{version}}"}[1m])'
            )
        return text

    @field_validator("address")
    @classmethod
    def _an_address(cls, text: str) -> str:
        if urlsplit(text).scheme not in ("http", "https") or not urlsplit(text).hostname:
            raise ValueError(f"expected http://host:port or https://host, got '{text}'")
        return text

    @model_validator(mode="after")
    def _fits(self) -> Self:
        refuse("metric", self._problems())
        return self

    def _problems(self) -> Iterator[tuple[Place, str]]:
        for field, kinds in _OWN.items():
            if field in self.model_fields_set and self.kind not in kinds:
                yield (field,), f"belongs to {' and '.join(kinds)}, not to {self.kind}"
        for field in _NEEDED.get(self.kind, ()):
            if not getattr(self, field):
                yield (field,), f"required where kind is {self.kind}, but not there"
        if (self.margin is None) == (self.relative_margin is None):
            what = "neither" if self.margin is None else "both"
            yield (), f"what counts as worse? expected margin or relativeMargin, got {what}"
        elif self.kind == "disagreement" and self.margin is None:
            yield (
                ("relativeMargin",),
                "disagreement has a share of its own: expected margin, as in 0.005",
            )
        elif self.kind == "latency" and 0 < (self.relative_margin or 0) < _FINEST:
            text = f"expected at least {_FINEST}, got {self.relative_margin}"
            yield ("relativeMargin",), f"times are counted 2.2 % apart: {text}"
        elif self.kind in SHARES and self.margin and self.margin + self.tolerated >= 1:
            yield ("margin",), f"a share below 1, got {self.margin:g}: 0.01 is one of a hundred"

    @property
    def called(self) -> str:
        """Its name, or what stands for it."""
        return self.name or (f"latency-{self.quantile}" if self.kind == "latency" else self.kind)


class Inconclusive(Config):
    """What becomes of a rollout at the end of which the tests can't say."""

    hold: float = Field(default=3600, ge=0, allow_inf_nan=False)
    """Seconds for which the last weight is held while they go on, or text as `1h`."""
    then: Literal["rollback", "promote"] = "rollback"
    """What is done after that."""

    _seconds = field_validator("hold", mode="before")(seconds)


class Rollout(Config):
    """A new version gets a growing share, compared with the one beside it at the same time."""

    version: str
    """The new version."""
    baseline: str | None = None
    """The version that it is compared with; without it, the one that serves when it begins."""
    steps: list[Step] = Field(min_length=1, max_length=100)
    """The shares, one after the other; they only grow."""
    metrics: list[Metric] = Field(min_length=1, max_length=20)
    """In what it is compared."""
    alpha: float = Field(default=0.05, gt=0, lt=0.5)
    """The most often that a version that is worse in nothing may be rolled back: 0.05 is one in twenty.
    """
    beta: float = Field(default=0.05, gt=0, lt=0.5)
    """The most often that a version that is worse by a margin or more may be promoted."""
    dry_run: bool = False
    """Whether the steps are taken and decisions recorded, and nobody but you promotes or rolls back."""
    inconclusive: Inconclusive = Inconclusive()
    """What is done when the tests can't say."""
    max_duration: float = Field(default=86400, gt=0, allow_inf_nan=False)
    """Seconds after which the steps are cut off, or text as `6h`; what hasn't been decided by then is
    inconclusive.
    """

    _seconds = field_validator("max_duration", mode="before")(seconds)

    @field_validator("version", "baseline", mode="before")
    @classmethod
    def _number(cls, version: Any) -> Any:
        return version_text(version)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        refuse("rollout", self._problems())
        return self

    def _problems(self) -> Iterator[tuple[Place, str]]:
        if self.version == self.baseline:
            yield ("baseline",), f"expected another version than {self.version}, which is rolled out"
        for index, (before, step) in enumerate(zip(self.steps, self.steps[1:], strict=False), 1):
            if step.weight < before.weight:
                yield (
                    ("steps", index, "weight"),
                    f"a rollout's shares only grow: got {step.weight:g} after {before.weight:g}",
                )
        known = set[str]()
        for index, metric in enumerate(self.metrics):
            if metric.called in known:
                yield ("metrics", index, "name"), f"two metrics are called '{metric.called}'"
            known.add(metric.called)
        if all(metric.dry_run for metric in self.metrics):
            yield ("metrics",), "all of them are dryRun: expected one that decides"
