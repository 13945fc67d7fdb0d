"""A graph's inputs and outputs, as far as those of its models say what they are."""

from collections.abc import Callable, Iterable

from serve_app.config.graph import ROOT, Graph, Step
from serve_app.core.graphs.merging import renamed
from serve_app.protocol.metadata import VersionDescription
from serve_app.protocol.tensors import TensorSpec

Specs = list[TensorSpec]  # none: anything goes, or nobody knows
Of = Callable[[Step], VersionDescription | None]  # what a step's model declares


def signature(graph: Graph, of: Of) -> VersionDescription:
    """What every way through the graph takes and gives; nothing where ways differ."""

    def below(step: Step) -> VersionDescription:
        if step.node_name:
            return node(step.node_name)
        return of(step) or VersionDescription([], [])

    def node(name: str) -> VersionDescription:
        steps = graph.nodes[name].steps
        found = [below(step) for step in steps]
        asked, ends = found, found
        if graph.nodes[name].router_type == "Sequence":
            asked = [
                one
                for index, (step, one) in enumerate(zip(steps, found, strict=True))
                if index == 0 or step.data != "$response"
            ]
            # A condition may end it at the step before.
            before = [one for one, after in zip(found, steps[1:], strict=False) if after.condition]
            ends = [*before, found[-1]]
        outputs = _same(one.outputs for one in ends)
        if graph.nodes[name].router_type == "Ensemble":
            outputs = _merged(steps, found)
        return VersionDescription(_same(one.inputs for one in asked), outputs)

    return node(ROOT)


def _same(each: Iterable[Specs]) -> Specs:
    first, *others = each
    return first if all(_plain(one) == _plain(first) for one in others) else []


def _plain(specs: Specs) -> list[tuple[str, str, tuple[int, ...], bool, bool]]:
    return [(one.name, one.datatype, one.shape, one.optional, one.any_rank) for one in specs]


def _merged(steps: list[Step], found: list[VersionDescription]) -> Specs:
    if not all(one.outputs for one in found):
        return []
    parts = {
        step.name or str(index): {spec.name: spec for spec in one.outputs}
        for index, (step, one) in enumerate(zip(steps, found, strict=True))
    }
    return [
        TensorSpec(name, spec.datatype, spec.shape, any_rank=spec.any_rank)
        for name, spec in renamed(parts)
    ]
