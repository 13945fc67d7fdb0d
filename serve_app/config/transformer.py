"""Classes around models, as KServe's transformers are."""

import re
from collections.abc import Iterable, Iterator
from typing import Any, Literal

from pydantic import Field, field_validator

from serve_app.config.base import Config, Place
from serve_app.config.graph import Graph, circle_in
from serve_app.config.model import servable


class Transformer(Config):
    """A class with `preprocess` and `postprocess` around a model, under a name of its own."""

    name: str
    """The name in URLs, as a model's."""
    class_path: str = Field(alias="class")
    """Your class, as package.module:ClassName: one that derives from `kserve.Model`, or any with its
    methods `preprocess` and `postprocess`.
    """
    predictor: str
    """The model behind it, or a graph, by its name in this service."""
    predictor_protocol: Literal["v1", "v2", "grpc-v2"] = "v1"
    """What the class is told that the model behind is asked in (KServe's `--predictor_protocol`). How it
    is asked is by what `preprocess` returns; where that is a dict with `inputs`, by this.
    """
    options: dict[str, Any] = {}
    """Arguments of the class, by name, beside the model's name."""
    load_timeout: float = Field(default=60, gt=0)
    """Seconds that requests wait for the class to be loaded. Then they are refused, until it is loaded
    after all.
    """
    hang_after: float = Field(default=60, gt=0)
    """Seconds after which one of its functions that nobody waits for any more counts as hanging: its
    thread is left to itself, and the requests behind it go on in another one.
    """
    revision: str | None = None
    """Any text. It means nothing by itself: another one is a change, and loads the class anew."""

    @field_validator("name")
    @classmethod
    def _servable(cls, name: str) -> str | None:
        return servable(name)

    @field_validator("class_path")
    @classmethod
    def _importable(cls, path: str) -> str:
        if not re.fullmatch(r"[\w.]+:\w+", path):
            raise ValueError("a class is named as package.module:ClassName")
        return path


def apart(
    transformers: list[Transformer], graphs: Iterable[Graph], models: set[str]
) -> Iterator[tuple[Place, str]]:
    """What is wrong with transformers beside the Router's models and graphs."""
    below = {graph.name: sorted(graph.services()) for graph in graphs}
    places: dict[str, int] = {}
    for index, one in enumerate(transformers):
        if one.name in models or one.name in below:
            kind = "model" if one.name in models else "graph or transformer"
            yield ("transformers", index, "name"), f"'{one.name}' is also a {kind} of the Router"
        else:
            below[one.name] = [one.predictor]
            places[one.name] = index
    circle = circle_in(below)
    if found := next((name for name in circle if name in places), ""):
        shown = " -> ".join(circle)
        yield ("transformers", places[found], "predictor"), f"a circle: {shown}"
