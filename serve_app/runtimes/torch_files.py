"""What a file of PyTorch's is when it isn't what its name says, and how to make the right one."""

import pickletools
import zipfile
from pathlib import Path

from serve_app.runtimes.not_a_model import PICKLE, what_it_is

_EXPORT = (
    "export the network, with its weights, as it is served: "
    "torch.export.save(torch.export.export(model.eval(), (example,), "
    "dynamic_shapes=({0: torch.export.Dim.DYNAMIC},)), 'model.pt2')"
)
# What a pickle of tensors alone names.
_OF_TENSORS = ("collections OrderedDict", "torch._utils _rebuild_", "torch ", "torch.storage ")


def instead(path: Path) -> str:
    """What the file is and how to get one that can be served; '' where nothing is wrong or known."""
    try:
        if not zipfile.is_zipfile(path):
            what = what_it_is(path)
            return f"{what}; {_EXPORT}" if what == PICKLE else what
        with zipfile.ZipFile(path) as archive:
            names = {name.partition("/")[2]: name for name in archive.namelist()}
            script = "constants.pkl" in names or any(name.startswith("code/") for name in names)
            program = any(name.startswith("models/") for name in names)
            if path.suffix == ".pt" and program:
                return "it is a torch.export archive: rename it to model.pt2"
            if path.suffix == ".pt2" and script:
                return "it is TorchScript: rename it to model.pt"
            if script or program or "data.pkl" not in names:
                return ""
            return _saved(archive.read(names["data.pkl"]))
    except (OSError, ValueError, zipfile.BadZipFile):
        return ""


def _saved(pickled: bytes) -> str:
    """What `torch.save` was given, read off the pickle without loading it."""
    named = [str(arg) for code, arg, _ in pickletools.genops(pickled) if code.name == "GLOBAL"]
    others = [one for one in named if not one.startswith(_OF_TENSORS)]
    if others:
        what = f"a pickled {others[0].replace(' ', '.')} (torch.save of a module), which is not loaded"
    else:
        what = "a state_dict: weights without the network they belong to (torch.save)"
    return f"it is {what}; {_EXPORT}"
