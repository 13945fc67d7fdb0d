"""`tandem convert model.joblib`: a pickle made into a file without code, apart from everything.

What comes back from that process are arrays, compared here, and the file, which another process loads;
it is put in its place when the two models answer the same.
"""

import argparse
import json
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import yaml

import serve_app
from serve_app.errors import ConfigError, shown
from serve_app.protocol.tensors import Arrays
from serve_app.runtimes import mlmodel
from serve_app.runtimes.model_files import PICKLES
from serve_app.tools.convert import apart

_SYSTEM = ("/usr", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/localtime", "/dev/null", "/dev/urandom",
           "/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/sys/devices/system/cpu")  # fmt: skip


def run(options: argparse.Namespace) -> int:
    """0 when the other file is written, 1 when it answers otherwise; ConfigError when it can't be."""
    to = options.to or ""
    if to not in ("", "skops", "onnx"):
        raise ConfigError(f"--to {to} is for manifests; a pickle becomes skops or onnx")
    source = _source(options.path)
    rows = _rows(getattr(options, "rows", None))
    readable = _readable()
    confined = {"readable": list(map(str, readable)), "privileged": not _others_may_read(readable)}
    with (
        _folder() as work,  # the pickle's
        _folder() as kept,  # this command's own: no other process gets in
        _folder() as other,  # the new file's
    ):
        shutil.copyfile(source, work / "model.pickle")
        job = {"step": "make", "file": "model.pickle", "to": to, "rows": rows}
        left = apart.step(work, {**job, **confined})
        made = apart.said(work / "made.json")
        file = apart.copied(work / made.file, kept / made.file, apart.MOST_MODEL)
        shutil.copyfile(file, other / made.file)
        apart.copied(work / "rows.npz", other / "rows.npz", apart.MOST_ARRAYS)
        before = apart.arrays(work / "before.npz")
        job = {"step": "ask", "file": made.file, "format": made.format, "options": made.options,
               "default": made.default}  # fmt: skip
        apart.step(other, {**job, **confined})
        compared, wrong = compare(before, apart.arrays(other / "after.npz"), made.format)
        print(f"{source}: {shown(made.kind)}, unpickled in a process of its own")
        for one in left:
            print(f"not kept from it: {one}", file=sys.stderr)
        if wrong:
            print("\n".join(wrong), file=sys.stderr)
            return 1
        written = _place(file, _target(options.output, source, made.file))
        print(f"{written}: the same answers to {len(next(iter(before.values())))} rows: {compared}")
        print(f"modelFormat: {made.format}", _options(made.options), sep="")
        return 0


@contextmanager
def _folder() -> Iterator[Path]:
    """One of its own, thrown away whatever is in it."""
    folder = Path(tempfile.mkdtemp(prefix="tandem-convert-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _options(options: dict[str, Any]) -> str:
    text = yaml.safe_dump({"options": options}, default_flow_style=None, width=1000)
    return f"\n{text.rstrip()}" if options else ""


def _inside(folder: Path) -> list[Path]:
    return [one for one in sorted(folder.iterdir()) if one.suffix in PICKLES and one.is_file()]


def _source(path: Path) -> Path:
    if not path.is_dir():
        if not path.is_file():
            raise ConfigError(f"{path}: there is no such file")
        return path
    about = mlmodel.read(path)
    found = [about.file] if about and about.file.suffix in PICKLES else _inside(path)
    if len(found) != 1:
        raise ConfigError(
            f"{path}: one pickle is wanted, there are {', '.join(map(str, found)) or 'none'}"
        )
    return found[0]


def _rows(file: Path | None) -> Any:
    if file is None:
        return None
    try:
        given = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file}: {error}") from None
    return given.get("instances", given) if isinstance(given, dict) else given


def _target(output: Path | None, source: Path, name: str) -> Path:
    if output is None:
        return source.with_suffix(Path(name).suffix)
    return output / name if output.is_dir() else output


def _place(made: Path, target: Path) -> Path:
    """Whole or not at all."""
    handle, beside = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as file, made.open("rb") as whole:
            shutil.copyfileobj(whole, file)
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            os.fsync(file.fileno())
        Path(beside).replace(target)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise
    return target


def _readable() -> list[Path]:
    """What Python and its packages lie in."""
    paths = [sys.prefix, sys.base_prefix, str(Path(serve_app.__file__).parent)]
    asked = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    paths += [one for one in sys.path if one and (one in asked or one != str(Path.cwd()))]
    # Not resolved: /proc/self is another one there.
    return [*(Path(one).resolve() for one in dict.fromkeys(paths)), *map(Path, _SYSTEM)]


def _others_may_read(paths: Iterable[Path]) -> bool:
    """Whether a user without rights gets there."""
    folders = [one for one in paths if one.exists() and not str(one).startswith(("/proc", "/dev"))]
    return all(
        part.stat().st_mode & stat.S_IXOTH
        for path in folders
        if path.is_dir()
        for part in (path, *path.parents)
    )


def compare(before: Arrays, after: Arrays, model_format: str) -> tuple[str, list[str]]:
    """The outputs that both have, and those that differ: ONNX's are in FP32, the others exact."""
    if model_format == "lightgbm" and "predict_proba" in before:  # its `predict` is probabilities
        odds = before["predict_proba"]
        before = {"predict": odds[:, 1] if odds.shape[1:] == (2,) else odds}
    names = [name for name in before if name in after]
    wrong = []
    if not names:
        wrong.append(f"no output in common: {', '.join(before)}; {', '.join(after)}")
    for name in names:
        one, other = before[name], after[name]
        if one.shape != other.shape or not _equal(one, other, model_format == "onnx"):
            differing = "their shapes" if one.shape != other.shape else _worst(one, other)
            wrong.append(f"{name}: the new file answers otherwise than the pickle: {differing}")
    return ", ".join(names), wrong


def _equal(one: np.ndarray, other: np.ndarray, roughly: bool) -> bool:
    if one.dtype == object or other.dtype == object:
        return bool(one.tolist() == other.tolist())
    if roughly and one.dtype.kind == "f":
        return bool(np.allclose(one, other, rtol=1e-4, atol=1e-6, equal_nan=True))
    return bool(np.array_equal(one, other, equal_nan=one.dtype.kind == "f"))


def _worst(one: np.ndarray, other: np.ndarray) -> str:
    if one.dtype == object or one.dtype.kind not in "fiu" or other.dtype == object:
        return f"in {sum(a != b for a, b in zip(one.ravel(), other.ravel(), strict=True))} rows"
    return f"by {np.nanmax(np.abs(one.astype(float) - other.astype(float))):g}"
