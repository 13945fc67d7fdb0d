"""InferenceGraphs: read here, run by the Router's own graphs."""

from serve_app.tools.kserve.ledger import Ledger
from serve_app.tools.kserve.service import Service
from serve_app.tools.kube.documents import Document


def read(document: Document) -> Service:
    """A graph as an entry of the Router's configuration; not yet: it is refused."""
    service = Service(document, Ledger())
    service.root.at("spec").refuse(
        "graphs aren't run yet", "requests to its name would be answered with 404",
        "leave the graph on KServe: its nodes may be Tandem's models, by their `serviceUrl`",
    )  # fmt: skip
    for key in ("apiVersion", "kind", "metadata"):
        service.root.at(key).carry()
    service.root.at("status").note("what KServe's controller saw")
    return service
