"""Integrated gradients of a torch model: along the way from a baseline to the input."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from serve_app.config import did_you_mean
from serve_app.errors import ConfigError, InvalidArgument
from serve_app.explainers.answers import Targets
from serve_app.explainers.asking import Asked
from serve_app.explainers.base import Options, library
from serve_app.protocol.tensors import Arrays

_AT_A_TIME = 64  # points of the way that run together


class Gradients:
    """`module` takes tensors in the order of `inputs` and gives those of `outputs`; `tensor` makes one
    of an array, where the module is. `labels` by output.
    """

    def __init__(
        self, module: Any, tensor: Any, inputs: Sequence[str], outputs: Sequence[str],
        labels: dict[str, list[str] | None], steps: int, baseline: Any, output: str,
    ) -> None:  # fmt: skip
        self._torch, self._captum = library("torch"), library("captum.attr")
        self._module, self._tensor, self._labels = module, tensor, labels
        self._inputs, self._outputs = list(inputs), list(outputs)
        self._steps, self._output = steps, output
        self._baseline = np.asarray(baseline, np.float64)
        if output and output not in outputs:
            raise ConfigError(f"explainer.output: no output '{output}'{did_you_mean(output, outputs)}")

    def explain(self, inputs: Arrays, asked: Asked, options: Options) -> Arrays:
        """Of each input, and what the sum of all of it lacks of the whole difference (`delta`)."""
        output = asked.wanted or self._output or self._outputs[0]
        if output not in self._outputs:
            hint = did_you_mean(output, self._outputs)
            raise InvalidArgument(f"parameters.output: no output '{output}'{hint}")
        names = [name for name in self._inputs if name in inputs]
        given = tuple(self._tensor(inputs[name]) for name in names)
        starts = tuple(self._start(name, one) for name, one in zip(names, given, strict=True))

        def forward(*tensors: Any) -> Any:
            asked.left()
            found, rows = self._scores(self._module(*tensors), output), len(tensors[0])
            if self._torch.is_grad_enabled() and not found.requires_grad:
                raise ConfigError(f"output '{output}' has no gradient: the program cuts it off")
            # An input that the output doesn't depend on has the gradient 0, not none.
            return found + sum(0 * one.reshape(rows, -1).sum(1, keepdim=True) for one in tensors)

        with self._torch.no_grad():
            ends = forward(*given)
            begins = forward(*starts)
        targets = Targets(output, ends.double().cpu().numpy(), self._labels.get(output), options.wanted)
        columns = self._torch.as_tensor(targets.columns, device=ends.device)
        rows = len(ends)
        parts, delta = self._captum.IntegratedGradients(forward).attribute(
            given,
            baselines=starts,
            target=columns,
            n_steps=self._steps,
            internal_batch_size=max(rows, _AT_A_TIME),
            return_convergence_delta=True,
        )
        found: Arrays = {}
        for name, part in zip(names, parts, strict=True):
            key = "attributions" if len(names) == 1 else f"attributions.{name}"
            found[key] = part.detach().double().cpu().numpy()
        found |= targets.answer()
        at = np.arange(rows)
        found["base_value"] = begins.double().cpu().numpy()[at, targets.columns]
        found["delta"] = delta.detach().double().cpu().numpy()
        return found

    def _start(self, name: str, tensor: Any) -> Any:
        try:
            made = np.broadcast_to(self._baseline, tuple(tensor.shape[1:]))
        except ValueError:
            raise InvalidArgument(
                f"explainer.baseline has shape {list(self._baseline.shape)}, a row of '{name}' has "
                f"{list(tensor.shape[1:])}"
            ) from None
        start = self._torch.as_tensor(made.copy(), dtype=tensor.dtype, device=tensor.device)
        return start.expand(tensor.shape).contiguous()

    def _scores(self, answer: Any, output: str) -> Any:
        """A column for each class."""
        if isinstance(answer, dict):
            found = answer[output]
        elif isinstance(answer, self._torch.Tensor):
            found = answer
        else:
            found = answer[self._outputs.index(output)]
        if found.ndim == 1:
            found = found[:, None]
        if found.ndim != 2 or not found.is_floating_point():
            raise InvalidArgument(
                f"output '{output}' is of shape {list(found.shape)}: what is explained is a number for "
                "each row, or one for each class"
            )
        return found
