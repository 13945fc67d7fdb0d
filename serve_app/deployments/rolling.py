"""What a Router has to do with rollouts: it says which are configured, and what it counted."""

import asyncio
import logging
import time
from typing import Any

from ray.serve.handle import DeploymentHandle

from serve_app.config import Rollout, RouterUserConfig
from serve_app.core.directory import Directory
from serve_app.core.version import State
from serve_app.deployments.live import LOST, LiveChanges
from serve_app.errors import InvalidArgument
from serve_app.releases.live import directed
from serve_app.releases.rolling import CONFIGURATION

log = logging.getLogger("tandem")

EACH_S = 1.0  # from one report to the next
_AGAIN_S = 30.0  # until one is asked for again that was refused
_KNOWN_S = 300.0  # from one word on which models there are to the next


class RouterRollouts:
    """Of one Router."""

    def __init__(self, live: LiveChanges, steward: DeploymentHandle[Any], directory: Directory) -> None:
        self._live, self._steward, self._directory = live, steward, directory
        self._told: RouterUserConfig | None = None
        self._asked: dict[str, float] = {}  # when to ask again, by model
        self._know = 0.0  # when to say again which models there are

    async def run(self) -> None:
        """For as long as this Router lives."""
        while True:
            await asyncio.sleep(EACH_S)
            try:
                await self.turn()
            except LOST:
                continue  # what was counted is told the next time
            except Exception:
                log.exception("telling of rollouts failed; it will be tried again")

    async def turn(self) -> None:
        """Tell what there is to tell."""
        counting, base = self._live.counting, self._live.base
        if counting.active:
            await self._steward.evidence.remote(self._live.name, counting.said())
            counting.sent()
        wanted = {name: one.rollout for name, one in base.routing.items() if one.rollout}
        if base is not self._told:
            if not await self._heard("configured", list(wanted)):
                return
            self._told = base
            self._asked.clear()
        if time.monotonic() >= self._know:
            there = {*self._live.parts, *self._live.state.layer}  # loaded or not
            await self._heard("known", sorted(there))
            self._know = time.monotonic() + _KNOWN_S
        for name, rollout in wanted.items():
            if time.monotonic() >= self._asked.get(name, 0.0):
                await self._begin(name, rollout)

    async def _heard(self, method: str, models: list[str]) -> bool:
        """False where the Steward can't keep it: it is told again."""
        kind, text = await getattr(self._steward, method).remote(models)
        if kind:
            log.warning("the Steward doesn't take which rollouts there are to be: %s", text)
        return not kind

    async def _begin(self, name: str, rollout: Rollout) -> None:
        said = rollout.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        try:
            asked = beginning(self._live, self._directory, name, said, CONFIGURATION)
        except InvalidArgument:
            return  # its other version isn't there yet
        kind, text = await self._steward.begin.remote(name, asked)
        self._asked[name] = time.monotonic() + _AGAIN_S if kind else float("inf")
        if kind:
            log.warning("the rollout of %s that is configured doesn't begin: %s", name, text)


def beginning(
    live: LiveChanges, directory: Directory, model: str, said: dict[str, Any], by: str
) -> dict[str, Any]:
    """What the Steward is told of a rollout that is to begin; InvalidArgument where there is nothing
    that the new version could be compared with.
    """
    version = str(said.get("version", ""))
    there = directory.models.get(model)
    serves = said.get("baseline") or (there.beside(version) if there else "")
    ready = {
        one.number for one in (there.versions.values() if there else ()) if one.state is State.READY
    }
    if not serves or str(serves) not in ready:
        which = f"version {serves}, its baseline, isn't ready" if serves else "no other one is ready"
        raise InvalidArgument(f"'{model}' has nothing to compare version {version} with: {which}")
    over = directed(live.base, model)
    return {
        "said": said, "serves": str(serves), "over": over, "before": live.traffic(model), "by": by,
    }  # fmt: skip
