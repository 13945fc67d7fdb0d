"""What KServe's router answers: written from cmd/router/main.go (v0.20), to be read beside it.

A service is a function from a body to a status and a body. Where the Go router's answer hangs on which
of two goroutines is first, there are several outcomes, and all are given.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

Service = Callable[[Any], tuple[int, Any]]


@dataclass(frozen=True)
class Outcome:
    """`cause` is what Go calls err: the body is then the router's own."""

    status: int
    body: Any = None
    cause: str = ""

    @property
    def success(self) -> bool:
        return 200 <= self.status <= 299


@dataclass(frozen=True)
class Reference:
    """`holds`: whether a condition's path is in a document; `point`: the Splitter's draw of 100."""

    nodes: dict[str, Any]
    services: dict[str, Service]
    holds: Callable[[str, Any], bool]
    point: int

    def answers(self, body: Any) -> list[Outcome]:
        """graphHandler: what a client may get."""
        return [
            Outcome(one.status, {"error": "Failed to process request", "cause": one.cause})
            if one.cause
            else one
            for one in self.route("root", body)
        ]

    def route(self, name: str, body: Any) -> Iterator[Outcome]:
        """routeStep."""
        node = self.nodes[name]
        steps = node["steps"]
        match node["routerType"]:
            case "Splitter":
                yield from self.picked(
                    self.weighed(steps), body, 500, "no route was selected by the splitter"
                )
            case "Switch":
                fits = (one for one in steps if self.holds(one.get("condition", ""), body))
                cause = "None of the routes matched with the switch condition"
                yield from self.picked(next(fits, None), body, 404, cause)
            case "Ensemble":
                yield from self.ensemble(steps, body)
            case "Sequence":
                yield from self.sequence(steps, body, None)

    def weighed(self, steps: list[Any]) -> Any:
        """pickupRoute."""
        end = 0
        for one in steps:
            end += one["weight"]
            if self.point < end:
                return one
        return None

    def picked(self, step: Any, body: Any, status: int, cause: str) -> Iterator[Outcome]:
        """handleSplitterORSwitchNode: an err below is a 500, whatever it was."""
        if step is None:
            yield Outcome(status, cause=cause)
        else:
            yield from self.execute(step, body)

    def execute(self, step: Any, body: Any) -> Iterator[Outcome]:
        """executeStep, and what every caller makes of its err."""
        if "nodeName" not in step:
            yield Outcome(*self.services[step["serviceName"]](body))
            return
        for one in self.route(step["nodeName"], body):
            yield Outcome(500, cause=one.cause) if one.cause else one

    def sequence(self, steps: list[Any], body: Any, before: Outcome | None) -> Iterator[Outcome]:
        """The steps that are left, of which `before` is what the last one answered."""
        if not steps:
            assert before is not None
            yield before
            return
        step, *rest = steps
        request = before.body if before and step.get("data") == "$response" else body
        if step.get("mapPredictionsToInstances"):
            predictions = request.get("predictions")
            if isinstance(predictions, list) and predictions:
                request = {"instances": predictions}
        if step.get("condition"):
            assert before is not None  # of nothing the router says "invalid response"
            if not self.holds(step["condition"], before.body):
                yield Outcome(200, before.body)
                return
        for one in self.execute(step, request):
            if one.cause or (step.get("dependency") == "Hard" and not one.success):
                yield one
            else:
                yield from self.sequence(rest, body, one)

    def ensemble(self, steps: list[Any], body: Any) -> Iterator[Outcome]:
        """All at once, looked at in their order; an err of any is seen whenever one waits."""
        ways: list[list[Outcome]] = [[]]
        for step in steps:
            ways = [[*way, one] for way in ways for one in self.execute(step, body)]
        for way in ways:
            errs = [one for one in way if one.cause]
            yield from errs
            merged = {}
            for index, (step, one) in enumerate(zip(steps, way, strict=True)):
                if one.cause:
                    break
                if step.get("dependency") == "Hard" and not one.success:
                    yield one
                    break
                merged[step.get("name") or str(index)] = one.body
            else:
                yield Outcome(200, merged)
