"""Steward: the one control actor, which holds what is wanted. Serve starts another where it dies."""

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Any

from serve_app.config import Admin, parse
from serve_app.core.to_the_end import to_the_end
from serve_app.deployments import queries
from serve_app.deployments.polling import Poller
from serve_app.deployments.remote import refresh
from serve_app.deployments.stores import store_of
from serve_app.errors import TandemError, copied
from serve_app.internals.ray_notes import call
from serve_app.internals.serve_context import application
from serve_app.internals.serve_status import serve_applications
from serve_app.observability.logs import LINES
from serve_app.observability.output import heard
from serve_app.observability.rollouts import RolloutMetrics
from serve_app.releases import steward as desired
from serve_app.releases.applications import remote_apps, routers
from serve_app.releases.change import Change
from serve_app.releases.judged import Ack

log = logging.getLogger("tandem")

PATIENCE_S = 5.0  # of a Router that asks for news
_APART_S = 1e-6
_TELLS, _PAUSE_S = 4, 0.5  # of replicas that can't be reached
_EACH_S = 1.0  # from one look at the rollouts to the next
Outcome = tuple[str, str]  # the kind of an error and what it says, both '' for none


class Steward:
    """Errors go to its callers as a kind and a text: no class has to be known on both sides."""

    async def __init__(self, admin: dict[str, Any]) -> None:  # type: ignore[misc]  # Serve awaits it
        with heard():
            settings = parse(Admin, admin, "args.admin")
            self._own = application()
            store = store_of(settings, self._own)
            metrics = RolloutMetrics()

            def tell(line: Mapping[str, Any]) -> None:
                LINES.write({"event": "audit", **line})
                what, _, decision = str(line["verb"]).partition(" ")
                if what == "rollout":
                    metrics.decided(line["model"], decision)

            made = await asyncio.to_thread(
                lambda: desired.Steward(
                    store, self._routers, reread, settings.timeout, tell, queries.asked
                )
            )
            self._steward = made
            self._work = [
                asyncio.create_task(_resuming(made)),
                asyncio.create_task(_rolling(made, metrics)),
            ]
            if settings.state_uri:
                self._work.append(asyncio.create_task(_looking(made)))
            if settings.poll_interval:
                poller = Poller(made, settings.poll_interval)
                self._work.append(asyncio.create_task(poller.run()))

    async def change(self, change: Mapping[str, Any]) -> Outcome:
        """As releases.steward's."""
        return await _outcome(self._steward.change(Change.of(change)))

    async def follow(self, router: str, seen: int, ack: Mapping[str, Any]) -> bytes:
        """The state as it is kept, as soon as it isn't `seen` any more; b'' while it is."""
        state = await self._steward.follow(router, seen, Ack.of(ack), PATIENCE_S)
        return state.encoded() if state.generation != seen else b""

    async def serves(self, router: str, ack: Mapping[str, Any]) -> None:
        """What a Router serves."""
        await self._steward.serves(router, Ack.of(ack))

    async def shadowed(self, model: str) -> dict[str, Any]:
        """As releases.steward's."""
        return self._steward.shadowed(model)

    async def drop(self, model: str, over: Mapping[str, str]) -> Outcome:
        """A deploy changed what something was done over."""
        return await _outcome(self._steward.drop(model, over))

    async def redirect(self, model: str, over: str) -> Outcome:
        """A deploy changed what traffic was given over."""
        return await _outcome(self._steward.redirect(model, over))

    async def begin(self, model: str, rollout: Mapping[str, Any]) -> Outcome:
        """A rollout, as `begin` of releases.rollouts takes it."""
        return await _outcome(self._steward.rollouts.begin(model, **rollout))

    async def act(self, model: str, verb: str, by: str, id: str = "") -> Outcome:
        """Pause a rollout, resume, abort or promote it; once for an `id`."""
        return await _outcome(self._steward.rollouts.act(model, verb, by, id))

    async def rollouts(self) -> dict[str, Any]:
        """The last rollout of each model, by model, for people."""
        return {model: one.summary for model, one in self._steward.rollouts.all().items()}

    async def configured(self, models: list[str]) -> Outcome:
        """The models whose rollout stands in the configuration."""
        return await _outcome(self._steward.rollouts.configured(dict.fromkeys(models)))

    async def known(self, models: list[str]) -> Outcome:
        """All models that a Router has heard of."""
        return await _outcome(self._steward.rollouts.known(models))

    async def evidence(self, router: str, said: Mapping[str, Mapping[str, Any]]) -> None:
        """What a Router counted, by model."""
        self._steward.rollouts.hear(router, said)

    async def note(self, line: Mapping[str, Any]) -> None:
        """A line of the audit, which its Router has written to its log."""
        await self._steward.note(line)

    async def upload(self, digest: str, whole: bytes) -> Outcome:
        """Keep files that came."""
        return await _outcome(self._steward.brought.keep(digest, whole))

    async def uploaded(self, digest: str) -> bytes | None:
        """Files that came."""
        return await self._steward.brought.kept(digest)

    def _routers(self) -> set[str]:
        return routers(serve_applications().get(self._own) or {})


async def _resuming(steward: desired.Steward) -> None:
    while True:
        await steward.resume()
        await asyncio.sleep(PATIENCE_S)


async def _looking(steward: desired.Steward) -> None:
    """While KubeRay switches from one cluster to another, both change what lies at `stateUri`."""
    while True:
        await asyncio.sleep(PATIENCE_S)
        try:
            await steward.look()
        except Exception as error:
            log.warning("the desired state can't be read, what is known stays: %s", error)


async def _rolling(steward: desired.Steward, metrics: RolloutMetrics) -> None:
    while True:
        await asyncio.sleep(_EACH_S)
        try:
            await steward.rollouts.look()
            metrics.show(steward.rollouts.all())
        except Exception as error:
            log.warning("the rollouts stay as they are for now: %s", error)


async def reread(model: str, generation: int) -> str:
    """Let the replicas of a model look at their files; why one couldn't load them, or ''.

    They look once for each moment: the one of their last deploy, and a millionth of a second on for
    each generation, which is before any deploy to come, whatever this machine's clock has. One that runs
    and couldn't be reached is told again; one that starts, Routers tell when it is there, and where it
    waits before it tries again, it does so now.
    """
    began = time.time()
    for left in reversed(range(_TELLS)):
        missing = set[str]()
        for app in remote_apps(await asyncio.to_thread(serve_applications)).values():
            if app.model != model:
                continue
            if not app.settled:
                await asyncio.to_thread(call, app.name, began)
            if not app.ingress:
                continue
            told = await refresh(app, app.stamp + generation * _APART_S)
            if told.reason and (told.replicas or not left):
                return told.reason
            missing |= app.replicas - told.replicas
        if not missing:
            return ""
        if left:
            await asyncio.sleep(_PAUSE_S)
    return f"its replicas {', '.join(sorted(missing))} can't be told"


async def _outcome(work: Any) -> Outcome:
    """What is seen through though the Router that asked ends."""
    return await to_the_end(_came(work))


async def _came(work: Any) -> Outcome:
    try:
        await work
    except TandemError as error:
        return type(copied(error)).__name__, error.message
    except Exception as error:
        log.exception("the Steward failed")
        return "Unavailable", f"the Steward failed: {type(error).__name__}: {error}"
    return "", ""
