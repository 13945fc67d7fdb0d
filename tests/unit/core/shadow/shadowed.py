"""A data plane whose model `m` has a version that answers and a shadow, and what is heard of it."""

import asyncio
from collections import Counter
from typing import Any

import numpy as np

from serve_app.config import Shadow
from serve_app.core.dataplane import DataPlane
from serve_app.core.shadow.choosing import Shadows
from serve_app.core.shadow.copies import Copies
from serve_app.core.shadow.jobs import Job
from serve_app.core.target import Target
from serve_app.protocol.tensors import Arrays, Parameters
from serve_app.routing.comparing import Compared
from serve_app.routing.tally import Pair
from tests.unit.planes import description, plane
from tests.unit.waiting import until


class Model:
    """Answers y = 10 x; `change` makes something else of it. It waits for `go`, where that is unset."""

    def __init__(self, change: Any = None) -> None:
        self.change = change
        self.go = asyncio.Event()
        self.go.set()
        self.seen: list[Arrays] = []
        self.given: list[Parameters] = []
        self.running = self.most = 0

    async def predict(self, inputs: Arrays, parameters: Parameters) -> Arrays:
        self.seen.append({name: array.copy() for name, array in inputs.items()})
        self.given.append(parameters)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await self.go.wait()
        finally:
            self.running -= 1
        outputs = {"y": inputs["x"] * 10, "z": inputs["x"]}
        if self.change:
            outputs = self.change(outputs)
        return outputs


class Heard:
    """Implements `Hears`."""

    def __init__(self) -> None:
        self.found: list[tuple[Pair, Job, Compared]] = []
        self.drops: Counter[str] = Counter()

    def compared(self, pair: Pair, job: Job, found: Compared) -> None:
        self.found.append((pair, job, found))

    def dropped(self, model: str, version: str, reason: str) -> None:
        self.drops[reason] += 1


class Shadowed:
    """Version 1 is `primary`, 2 the shadow by `config`."""

    def __init__(
        self, primary: Any = None, shadow: Any = None, about: Any = None, **config: Any
    ) -> None:
        self.primary, self.shadow = primary or Model(), shadow or Model()
        self.plane: DataPlane = plane()
        self.model = self.plane.directory.expect("m", "")
        self.model.direct("1", None)
        self.about = about or description()
        self.serve()
        self.heard = Heard()
        self.shadows = Shadows(self.plane.directory, self.heard)
        self.configure(**config)

    def serve(self) -> None:
        """With the targets that there are now."""
        targets = {"1": target(self.primary), "2": target(self.shadow)}
        self.model.serve("", self.about, targets, slots=2)

    def configure(self, **config: Any) -> None:
        """Another configuration from now on."""
        wanted = {"m": Shadow.model_validate({"version": "2", **config})}
        assert self.shadows.configure(wanted)
        self.plane.observers.each = (*self.plane.observers.each[:1], self.shadows)
        self.plane.tap = self.shadows

    @property
    def copies(self) -> Copies:
        return self.shadows.models["m"]

    @property
    def pair(self) -> Pair:
        return self.copies.pairs["1", "2"]

    async def settled(self) -> None:
        """Nothing is under way."""
        await until(lambda: not self.copies.waiting and not self.copies._tasks)

    async def compared(self, count: int) -> list[Compared]:
        """So many comparisons, and not more."""
        await until(lambda: len(self.heard.found) >= count)
        await self.settled()
        assert len(self.heard.found) == count
        return [found for _, _, found in self.heard.found]


def target(model: Any) -> Target:
    return model if isinstance(model, Target) else Target(model)


def off_by(amount: float) -> Any:
    return lambda outputs: {**outputs, "y": outputs["y"] + np.float32(amount)}
