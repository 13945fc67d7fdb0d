"""Graphs of models, in the words of KServe's InferenceGraph."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from serve_app import gjson
from serve_app.config.base import Config, Place, did_you_mean, refuse
from serve_app.config.model import servable
from serve_app.config.policy import version_text

ROOT = "root"
MOST_STEPS = 1000  # that one request may take


class Step(Config):
    """One step of a node: another node, or a model (or graph) of this service."""

    name: str | None = None
    """What the step is called, in a node's answers and in metrics; without it, its place from 0 on."""
    node_name: str | None = None
    """The node that answers. A step has either this or `serviceName`."""
    service_name: str | None = None
    """The model that answers, or another graph, by its name in this service."""
    model_version: str | None = None
    """The version of the model; without it, the one that a request without a version gets."""
    data: str | None = None
    """In a Sequence: `$request`, what the node was asked, or `$response`, what the step before answered.
    Anything else is the former.
    """
    map_predictions_to_instances: bool = False
    """In a Sequence: give the `predictions` of the step before on as `instances`."""
    weight: int | None = Field(default=None, ge=0, le=100)
    """In a Splitter: of 100 requests, how many take this step."""
    condition: str | None = None
    """A GJSON path. In a Switch the first step whose path is there in the request is taken; in a
    Sequence all ends before a step whose path isn't there in the answer so far.
    """
    dependency: Literal["Soft", "Hard"] = "Soft"
    """With `Hard`, a Sequence or an Ensemble ends with this step's error when it fails."""

    @field_validator("condition")
    @classmethod
    def _path(cls, condition: str | None) -> str | None:
        if condition:
            gjson.read(condition)
        return condition

    @field_validator("model_version", mode="before")
    @classmethod
    def _version(cls, version: Any) -> Any:
        return version_text(version)


class Node(Config):
    """A node of a graph."""

    router_type: Literal["Sequence", "Switch", "Ensemble", "Splitter"]
    """Sequence: one step after the other. Switch: the first whose condition holds. Ensemble: all side by
    side, answered together. Splitter: one of them by chance.
    """
    steps: list[Step] = Field(min_length=1)
    """Its steps, in their order."""

    @model_validator(mode="after")
    def _fits(self) -> "Node":
        refuse("node", self._misfits())
        return self

    def _misfits(self) -> Iterator[tuple[Place, str]]:
        names = set[str]()
        for index, step in enumerate(self.steps):
            if step.name and step.name in names:
                yield ("steps", index, "name"), f"two steps are called '{step.name}'"
            names.add(step.name or "")
            if bool(step.node_name) == bool(step.service_name):
                yield ("steps", index), "a step has either serviceName or nodeName"
            if step.model_version and not step.service_name:
                yield ("steps", index, "modelVersion"), "of a model, and this step has no serviceName"
        yield from self._of_kind()

    def _of_kind(self) -> Iterator[tuple[Place, str]]:
        if self.router_type == "Splitter":
            for index, step in enumerate(self.steps):
                if step.weight is None:
                    yield ("steps", index, "weight"), "required in a Splitter, but not there"
            total = sum(step.weight or 0 for step in self.steps)
            if total != 100:
                yield ("steps",), f"the weights of a Splitter add up to 100, these to {total}"
        if self.router_type == "Sequence" and self.steps[0].condition:
            where = ("steps", 0, "condition")
            yield where, "nothing was answered yet before the first step: every request would fail"


class RouterTimeouts(Config):
    """Time limits of a graph, in seconds."""

    service_client: int | None = Field(default=None, ge=1)
    """For each step; one that takes longer ends the request with an error."""


class Graph(Config):
    """Models that answer together, under a name of its own."""

    name: str
    """The name in URLs, as a model's."""
    nodes: dict[str, Node] = Field(max_length=200)
    """Nodes by their names; a request comes to `root`."""
    router_timeouts: RouterTimeouts = RouterTimeouts()
    """Time limits."""

    @field_validator("name")
    @classmethod
    def _servable(cls, name: str) -> str | None:
        return servable(name)

    @model_validator(mode="after")
    def _runs(self) -> "Graph":
        refuse("graph", self._broken())
        return self

    def _broken(self) -> Iterator[tuple[Place, str]]:
        if ROOT not in self.nodes:
            yield ("nodes",), f"no node '{ROOT}'{did_you_mean(ROOT, self.nodes)}"
        unknown = False
        for name, node in self.nodes.items():
            for index, step in enumerate(node.steps):
                if step.node_name and step.node_name not in self.nodes:
                    unknown = True
                    where = ("nodes", name, "steps", index, "nodeName")
                    yield where, f"no node '{step.node_name}'{did_you_mean(step.node_name, self.nodes)}"
        if unknown:
            return
        below = {
            name: [step.node_name for step in node.steps if step.node_name]
            for name, node in self.nodes.items()
        }
        if circle := circle_in(below):
            yield ("nodes", circle[0]), f"a circle: {' -> '.join(circle)}"
        elif ROOT in self.nodes and (most := self.most_steps({})) > MOST_STEPS:
            yield ("nodes",), _too_many(most)

    def most_steps(self, graphs: Mapping[str, int]) -> int:
        """How many models one request may be given to; `graphs`: the same of graphs among its steps."""
        known: dict[str, int] = {}

        def of(name: str) -> int:
            if name not in known:
                node = self.nodes[name]
                costs = [
                    of(step.node_name) if step.node_name else graphs.get(step.service_name or "", 1)
                    for step in node.steps
                ]
                known[name] = sum(costs) if node.router_type in ("Sequence", "Ensemble") else max(costs)
            return known[name]

        return of(ROOT)

    def services(self) -> set[str]:
        """The models and graphs that its steps name."""
        return {step.service_name for _, step in self.steps() if step.service_name}

    def steps(self) -> Iterator[tuple[Place, Step]]:
        """Each with its place."""
        for name, node in self.nodes.items():
            for index, step in enumerate(node.steps):
                yield ("nodes", name, "steps", index), step


def circle_in(below: Mapping[str, list[str]]) -> list[str]:
    """Names that lead back to the first of them; none where nothing does. Names without entry end."""
    done = set[str]()
    for start in below:
        way, rest = [start], [iter(below[start])]
        while rest:
            name = next(rest[-1], None)
            if name is None:
                done.add(way.pop())
                rest.pop()
            elif name in way:
                return [*way[way.index(name) :], name]
            elif name in below and name not in done:
                way.append(name)
                rest.append(iter(below[name]))
    return []


def _too_many(most: int) -> str:
    return f"a request could take {most:,} steps, at most {MOST_STEPS:,} are served"


def together(graphs: list[Graph], models: set[str]) -> Iterator[tuple[Place, str]]:
    """What is wrong with graphs beside each other, and beside the Router's models."""
    places: dict[str, int] = {}
    for index, graph in enumerate(graphs):
        if graph.name in models:
            yield ("graphs", index, "name"), f"'{graph.name}' is also a model of the Router"
        elif places.setdefault(graph.name, index) != index:
            yield ("graphs", index, "name"), f"graphs holds '{graph.name}' twice"
    below = {graph.name: sorted(graph.services() & places.keys()) for graph in graphs}
    if circle := circle_in(below):
        yield ("graphs", places[circle[0]]), f"graphs in a circle: {' -> '.join(circle)}"
        return
    by_name, most = {graph.name: graph for graph in graphs}, dict[str, int]()
    while len(most) < len(by_name):
        for name, graph in by_name.items():
            if name not in most and most.keys() >= set(below[name]):
                most[name] = graph.most_steps(most)
                if most[name] > MOST_STEPS:
                    yield ("graphs", places[name]), _too_many(most[name])
