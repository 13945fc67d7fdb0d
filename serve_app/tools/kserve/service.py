"""What documents of KServe's ask for, in Tandem's terms: models, and the pods that they run in."""

from dataclasses import dataclass, field
from typing import Any

from serve_app.tools.kserve.ledger import Field, Ledger
from serve_app.tools.kube.documents import Document
from serve_app.tools.kube.findings import Place


@dataclass
class Model:
    """An application of its own, or, `inline`, a model inside the Router.

    `origin`: for places of its entry, where the document says that.
    """

    name: str
    entry: dict[str, Any] = field(default_factory=dict)
    origin: dict[Place, Place] = field(default_factory=dict)
    inline: bool = False
    env: dict[str, str] = field(default_factory=dict)

    def put(self, key: str, value: Any, source: Field | None = None) -> None:
        """A key of the entry, and where it comes from."""
        self.entry[key] = value
        if source is not None:
            self.origin[(key,)] = source.place

    def inner(self, key: str, inner: str, value: Any, source: Field | None = None) -> None:
        """A key in a mapping of the entry."""
        self.entry.setdefault(key, {})[inner] = value
        if source is not None:
            self.origin[(key, inner)] = source.place

    @property
    def replicas(self) -> tuple[int, int]:
        """At least and at most."""
        scaling = self.entry.get("autoscaling")
        if isinstance(scaling, dict):
            return scaling.get("minReplicas", 1), scaling.get("maxReplicas", 1)
        count = self.entry.get("replicas") or 1
        return count, count

    @property
    def format(self) -> str:
        """Its runtime; '' where none is known."""
        return str(self.entry.get("modelFormat") or "")


@dataclass
class Pods:
    """What a component says of its pods, for the RayService's group of workers."""

    spec: dict[str, Any] = field(default_factory=dict)
    container: dict[str, Any] = field(default_factory=dict)
    labels: dict[str, Any] = field(default_factory=dict)
    annotations: dict[str, Any] = field(default_factory=dict)


@dataclass
class Service:
    """One document. Its first model is the one of its name."""

    document: Document
    ledger: Ledger
    models: list[Model] = field(default_factory=list)
    pods: Pods = field(default_factory=Pods)
    timeout: int | None = None
    graph: dict[str, Any] | None = None  # an entry of the Router's
    transformer: dict[str, Any] | None = None  # an entry of the Router's
    payloads: list[dict[str, Any]] = field(default_factory=list)  # entries of the Router's
    weights: dict[str, int] = field(default_factory=dict)  # by version, of the model of its name

    @property
    def pods_wanted(self) -> tuple[int, int]:
        """The least and the most pods: one for each replica of each model that has its own."""
        counts = [model.replicas for model in self.models if not model.inline]
        return sum(low for low, _ in counts), sum(high for _, high in counts)

    @property
    def answers_as(self) -> str:
        """What its model is called in requests."""
        first = self.models[0]
        return str(first.entry.get("model") or first.entry.get("name") or self.name)

    @property
    def asked_as(self) -> str:
        """What requests name: the transformer, if it has one."""
        return str(self.transformer["name"]) if self.transformer else self.answers_as

    @property
    def name(self) -> str:
        return self.document.name

    @property
    def root(self) -> Field:
        """The document, to be read."""
        return Field((), self.document.data, self.ledger)
