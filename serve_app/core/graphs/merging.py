"""Under which names what was answered reaches the next model: its own for outputs, or what comes near.

Of an Ensemble it is `step.output`, or `step` where a model asks for that. What a model doesn't take is
left out, and a single output may have any name.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import TypeVar

T = TypeVar("T")


def fitted(outputs: Mapping[str, T], inputs: Collection[str]) -> dict[str, T]:
    """Of one model's outputs those that another one takes; all of them where nobody knows."""
    if not inputs:
        return dict(outputs)
    if len(outputs) == len(inputs) == 1:
        return dict(zip(inputs, outputs.values(), strict=True))
    return {name: value for name, value in outputs.items() if name in inputs}


def renamed(
    parts: Mapping[str, Mapping[str, T]], inputs: Collection[str] = ()
) -> Iterator[tuple[str, T]]:
    """The outputs of each step of an Ensemble. The name of a step's only output may be unknown ('')."""
    for step, outputs in parts.items():
        for output, value in outputs.items():
            name = _name(step, output, len(outputs) == 1, inputs)
            if not inputs or name in inputs:
                yield name, value


def _name(step: str, output: str, only: bool, inputs: Collection[str]) -> str:
    name = f"{step}.{output}" if output else step
    if not only or name in inputs:
        return name
    if step in inputs:
        return step
    of_it = [one for one in inputs if one.startswith(f"{step}.")]
    return of_it[0] if not output and len(of_it) == 1 else name
