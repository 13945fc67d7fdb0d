"""PyTorch models: torch.export programs (`model.pt2`) and TorchScript (`model.pt`).

Neither is ever unpickled: a .pt2 archive that would need it is refused (see `safe_pt2.py`), and
TorchScript has a loader of its own; its code is a program that nobody can check, so it is loaded where
the configuration says `trusted` only. Inputs go in by position in the declared order; a tuple comes
back as the declared outputs, a dict by its own names.
"""

import contextlib
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from serve_app.config import ModelConfig, TorchOptions
from serve_app.errors import ConfigError
from serve_app.protocol.datatypes import BF16
from serve_app.protocol.metadata import VersionDescription
from serve_app.protocol.tensors import Arrays, Parameters
from serve_app.repository.versions import only_file
from serve_app.runtimes.base import FILES, declared, need
from serve_app.runtimes.loading import LOADING
from serve_app.runtimes.torch_files import instead


class TorchRuntime:
    """One module on one device."""

    def __init__(self, config: ModelConfig, folder: Path | None, gpu: bool = False) -> None:
        self._spec = declared(config)
        self._folder = folder
        self._gpu = gpu
        self._trusted = config.trusted
        self._options = TorchOptions.model_validate(config.options)
        self._torch: Any = None
        self._module: Any = None

    def load(self) -> None:
        """Read the module and move it to the device."""
        torch = self._torch = need("torch", "torch")
        assert self._folder is not None  # the configuration requires storageUri
        if self._options.threads:
            torch.set_num_threads(self._options.threads)
        self._device = torch_device(torch, self._gpu)
        path = only_file(self._folder, *FILES["torch"])
        if what := instead(path):
            raise ConfigError(f"{path}: {what}")
        if path.suffix == ".pt" and not self._trusted:
            raise ConfigError(
                f"{path} is not loaded: TorchScript is a program that can read and write any file of "
                "its process. Save the model with torch.export as model.pt2, which is checked; or set "
                "`trusted: true` for this model, where you trust whoever can write that file"
            )
        try:
            if path.suffix == ".pt2":
                from serve_app.runtimes.safe_pt2 import load_program

                program = load_program(path)
                self._must_vary(program)
                if self._device.type != "cpu":
                    from torch.export.passes import move_to_device_pass

                    program = move_to_device_pass(program, self._device)
                self._module = program.module()
            else:
                with LOADING, warnings.catch_warnings():
                    warnings.simplefilter("ignore", DeprecationWarning)
                    self._module = torch.jit.load(str(path), map_location=self._device).eval()
        except (RuntimeError, ValueError, KeyError, AssertionError, OSError) as error:
            raise ConfigError(f"{path}: PyTorch can't load it: {error}") from error

    def _must_vary(self, program: Any) -> None:
        """ConfigError where a declared -1 is one number for the program: it was exported with an example
        of that size, and without being told that it may differ."""
        shapes = [
            getattr(node.meta.get("val"), "shape", ())
            for node in program.graph.nodes
            if node.op == "placeholder" and node.name in program.graph_signature.user_inputs
        ]
        for spec, shape in zip(self._spec.inputs, shapes, strict=False):
            for at, (wanted, size) in enumerate(zip(spec.shape, shape, strict=False)):
                if wanted == -1 and isinstance(size, int):
                    raise ConfigError(
                        f"input '{spec.name}' is declared {list(spec.shape)}, but the program was "
                        f"exported for exactly {size} in dimension {at}: export it with dynamic shapes, "
                        f"torch.export.export(model, (example,), dynamic_shapes=({{{at}: "
                        "torch.export.Dim.DYNAMIC},)) and an example of 2 or more there; "
                        f"or declare {size}"
                    )

    def warm_up(self, inputs: Arrays) -> None:
        self.predict(inputs, {})

    def predict(self, inputs: Arrays, parameters: Parameters) -> Arrays:
        """One forward pass without gradients."""
        torch = self._torch
        with torch.inference_mode():
            tensors = [
                to_torch(torch, inputs[spec.name]).to(self._device)
                for spec in self._spec.inputs
                if spec.name in inputs
            ]
            result = self._module(*tensors)
        names = [spec.name for spec in self._spec.outputs]
        if isinstance(result, torch.Tensor):
            result = (result,)
        if isinstance(result, dict):
            return {name: to_numpy(torch, tensor) for name, tensor in result.items()}
        if len(result) != len(names):
            raise ValueError(
                f"the module returned {len(result)} tensors, declared are {', '.join(names)}"
            )
        return {name: to_numpy(torch, tensor) for name, tensor in zip(names, result, strict=True)}

    def metadata(self) -> VersionDescription:
        return self._spec

    @property
    def module(self) -> Any:
        """What was loaded, for who looks into it."""
        return self._module

    def tensor(self, array: np.ndarray) -> Any:
        """Where the module is."""
        return to_torch(self._torch, array).to(self._device)

    def close(self) -> None:
        """Drop the module and its memory, on the device too."""
        module, self._module = self._module, None
        drop_weights(self._torch, module, self._gpu)


def drop_weights(torch: Any, module: Any, gpu: bool) -> None:
    """Give back what a module holds. Its parts refer to each other, and the garbage collector may not
    look for them any more (serve_app.runtimes.freeze_gc).
    """
    if module is None:
        return
    with contextlib.suppress(RuntimeError):  # a script's that can't be set
        for tensor in [*module.parameters(), *module.buffers()]:
            tensor.data = torch.empty(0, dtype=tensor.dtype)
    if gpu:
        torch.cuda.empty_cache()


def torch_device(torch: Any, gpu: bool) -> Any:
    """The replica's GPU when it reserved one (Ray shows it just that one), else the CPU."""
    if not gpu:
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise ConfigError("num_gpus is set, but PyTorch sees no GPU here (a CPU build, or no driver)")
    return torch.device("cuda", 0)


def to_torch(torch: Any, array: np.ndarray) -> Any:
    """A tensor over the array's memory where it may be; requests are never written to."""
    if array.dtype == BF16:
        return torch.from_numpy(np.array(array.view(np.int16))).view(torch.bfloat16)
    if not array.flags.writeable:
        array = array.copy()
    return torch.from_numpy(array)


def to_numpy(torch: Any, tensor: Any) -> np.ndarray:
    """An array over the tensor's memory, on the host."""
    tensor = tensor.detach().cpu()
    if tensor.dtype == torch.bfloat16:
        return tensor.contiguous().view(torch.int16).numpy().view(BF16)  # type: ignore[no-any-return]
    return tensor.numpy()  # type: ignore[no-any-return]
