"""Which graphs a data plane serves."""

import logging
from collections.abc import Iterable

from serve_app.config.graph import Graph
from serve_app.core.call import Call
from serve_app.core.dataplane import DataPlane
from serve_app.core.graphs.asked import Asker
from serve_app.core.graphs.version import NUMBER, SOURCE, GraphModel, GraphVersion
from serve_app.protocol.metadata import Statistics

log = logging.getLogger("tandem")


class Graphs:
    """Those of `plane`."""

    def __init__(self, plane: DataPlane) -> None:
        self._plane = plane
        self._served: dict[str, Graph] = {}

    def configure(self, graphs: Iterable[Graph]) -> None:
        """Serve these, and no others. One that is what it was stays, with its counters."""
        wanted = {graph.name: graph for graph in graphs}
        directory = self._plane.directory
        for name in self._served.keys() - wanted.keys():
            directory.remove(name, SOURCE)
        served: dict[str, Graph] = {}
        for name, graph in wanted.items():
            model = directory.models.get(name)
            if not isinstance(model, GraphModel):
                if model is not None:
                    log.error("graph '%s' isn't served: there is a model of that name", name)
                    continue
                model = directory.models[name] = GraphModel(name, self._plane.observers, directory.room)
            served[name] = graph
            if self._served.get(name) != graph:
                model.put(self._version(graph, model))
        self._served = served

    def _version(self, graph: Graph, model: GraphModel) -> GraphVersion:
        plane, most = self._plane, graph.router_timeouts.service_client
        counters = model.statistics.setdefault(NUMBER, Statistics())

        def asker(call: Call) -> Asker:
            return Asker(call, plane.directory, plane.infer, plane.awake, plane.refused, most)

        return GraphVersion(graph, plane.directory, asker, counters, plane.observers)
