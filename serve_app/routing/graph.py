"""One request's way through a graph, as KServe's router (cmd/router/main.go) takes it.

Pure: what a request is and how a model is asked is a `Form`'s affair.
"""

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

from serve_app.config.graph import ROOT, Graph, Node, Step
from serve_app.errors import ModelFailed, NotFound, TandemError
from serve_app.gjson import Path, read

M = TypeVar("M")
T = TypeVar("T")
FAILED = "Failed to process request"  # what clients of KServe's router are told, with the cause


class NoRoute(NotFound):
    """No step of a Switch has what the request asks for. `cause`: why, in the router's words."""

    def __init__(self, cause: str) -> None:
        super().__init__(f"{FAILED}: {cause}")
        self.cause = cause


class Failed(ModelFailed):
    """The graph itself can't go on. `cause` as above."""

    def __init__(self, cause: str) -> None:
        super().__init__(f"{FAILED}: {cause}")
        self.cause = cause


@dataclass(frozen=True, slots=True)
class Answer(Generic[M]):
    """What a step answered. With `error` it failed, and the message says so."""

    message: M
    error: TandemError | None = None


class Form(Protocol[M]):
    """What requests and answers are: JSON documents, say, or tensors."""

    async def call(self, service: str, version: str, message: M) -> Answer[M]:
        """Ask a model. What it refuses is an answer, too; raises Failed where none can be had."""
        ...

    async def asked(self, message: M, question: Callable[[Any], T]) -> T:
        """What `question` says of the message's JSON value; where that is large, others don't wait."""
        ...

    def mapped(self, message: M) -> M:
        """With its `predictions`, if it has some, as `instances`."""
        ...

    def merged(self, parts: dict[str, M]) -> M:
        """Answers as one, each under its name."""
        ...


# Told of each node that was left: its name, the seconds that it took, and how it failed if it did.
Heard = Callable[[str, float, BaseException | None], None]


@dataclass(frozen=True, slots=True)
class _Planned:
    step: Step
    key: str
    condition: Path | None
    hard: bool


def _first(steps: list[_Planned], document: Any) -> _Planned | None:
    """The first step whose condition holds."""
    return next((one for one in steps if one.condition and one.condition.exists(document)), None)


class Router(Generic[M]):
    """Runs requests through one graph. `point()` says which of 100 a Splitter's request is."""

    def __init__(self, graph: Graph, point: Callable[[], int] | None = None) -> None:
        self._nodes = {name: (node, _planned(node)) for name, node in graph.nodes.items()}
        self._point = point or (lambda: random.randrange(100))  # noqa: S311 - shares, no secrets

    async def route(self, form: Form[M], message: M, heard: Heard) -> Answer[M]:
        """Raises NoRoute where a Switch that the request came to at once has nothing for it, Failed
        where the graph fails otherwise.
        """
        return await self._node(ROOT, form, message, heard)

    async def _node(self, name: str, form: Form[M], message: M, heard: Heard) -> Answer[M]:
        began = time.monotonic()
        node, steps = self._nodes[name]
        error: BaseException | None = None
        try:
            answer = await _KINDS[node.router_type](self, steps, form, message, heard)
            error = answer.error
            return answer
        except BaseException as raised:
            error = raised
            raise
        finally:
            heard(name, time.monotonic() - began, error)

    async def _step(self, one: _Planned, form: Form[M], message: M, heard: Heard) -> Answer[M]:
        step = one.step
        if not step.node_name:
            return await form.call(step.service_name or "", step.model_version or "", message)
        try:
            return await self._node(step.node_name, form, message, heard)
        except NoRoute as error:  # a router's own status is the root's alone
            raise Failed(error.cause) from None

    async def _sequence(
        self, steps: list[_Planned], form: Form[M], message: M, heard: Heard
    ) -> Answer[M]:
        answer: Answer[M] | None = None
        for one in steps:
            request = message
            if answer is not None and one.step.data == "$response":
                request = answer.message
            if one.step.map_predictions_to_instances:
                request = form.mapped(request)
            if one.condition is not None:
                if answer is None:
                    raise Failed("invalid response")
                if not await form.asked(answer.message, one.condition.exists):
                    return Answer(answer.message)  # 200, however the step before ended
            answer = await self._step(one, form, request, heard)
            if one.hard and answer.error is not None:
                break
        assert answer is not None
        return answer

    async def _switch(self, steps: list[_Planned], form: Form[M], message: M, heard: Heard) -> Answer[M]:
        one = await form.asked(message, partial(_first, steps))
        if one is None:
            raise NoRoute("None of the routes matched with the switch condition")
        return await self._step(one, form, message, heard)

    async def _splitter(
        self, steps: list[_Planned], form: Form[M], message: M, heard: Heard
    ) -> Answer[M]:
        point, end = self._point(), 0
        for one in steps:
            end += one.step.weight or 0
            if point < end:
                return await self._step(one, form, message, heard)
        raise Failed("no route was selected by the splitter")

    async def _ensemble(
        self, steps: list[_Planned], form: Form[M], message: M, heard: Heard
    ) -> Answer[M]:
        broken: asyncio.Future[Answer[M]] = asyncio.get_running_loop().create_future()

        async def run(one: _Planned) -> Answer[M]:
            try:
                return await self._step(one, form, message, heard)
            except TandemError as error:
                if not broken.done():
                    broken.set_exception(error)
                raise

        tasks = [asyncio.create_task(run(one)) for one in steps]
        try:
            parts = {}
            for one, task in zip(steps, tasks, strict=True):
                await asyncio.wait((task, broken), return_when=asyncio.FIRST_COMPLETED)
                # An answer that is there counts, whatever else has failed by then.
                answer = task.result() if task.done() else broken.result()
                if answer.error is not None and one.hard:
                    return answer
                parts[one.key] = answer.message
            return Answer(form.merged(parts))
        finally:
            futures: list[asyncio.Future[Answer[M]]] = [*tasks, broken]
            for future in futures:
                future.cancel()
                future.add_done_callback(_seen)


_KINDS = {
    "Sequence": Router._sequence,
    "Switch": Router._switch,
    "Splitter": Router._splitter,
    "Ensemble": Router._ensemble,
}


def _seen(done: "asyncio.Future[Any]") -> None:
    """Nobody asks any more, and asyncio needn't say so."""
    if not done.cancelled():
        done.exception()


def _planned(node: Node) -> list[_Planned]:
    return [
        _Planned(
            step,
            step.name or str(index),
            read(step.condition) if step.condition else None,
            step.dependency == "Hard",
        )
        for index, step in enumerate(node.steps)
    ]
