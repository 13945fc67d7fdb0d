"""The processes that `tandem convert` starts, and what it takes from them: as from a stranger.

What a pickle's code may do it does in one folder. Nothing that decides is read from there or written
there: the job goes in by a pipe, and of what comes back each file is opened once, must be a plain one
of bounded size, and says no more than what is taken from it here.
"""

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import serve_app
from serve_app.errors import ConfigError
from serve_app.protocol.tensors import Arrays
from serve_app.tools.convert.confine import NOBODY
from serve_app.tools.convert.forms import read

SECONDS = 300
FORMATS = {"model.skops": "sklearn", "model.onnx": "onnx", "model.ubj": "xgboost",
           "model.txt": "lightgbm"}  # fmt: skip
MOST_MODEL, MOST_ARRAYS, MOST_TEXT, _MOST_SAID = 8 * 2**30, 2**30, 2**20, 2000
# -P: nothing of the folder where the command runs is imported; the pickle may have come with it.
_PROGRAM = (
    "import sys; sys.path.append(sys.argv[2]); "
    "from serve_app.tools.convert.unpickle import main; sys.exit(main())"
)
_KEPT = ("PATH", "LANG", "LC_ALL", "PYTHONPATH", "LD_LIBRARY_PATH")  # of the environment


@dataclass(frozen=True, slots=True)
class Said:
    """What the process that unpickled says it made."""

    file: str
    options: dict[str, Any]
    kind: str
    default: str

    @property
    def format(self) -> str:
        return FORMATS[self.file]


def step(work: Path, job: dict[str, Any]) -> list[str]:
    """One process; what it couldn't give up. ConfigError says what it says, with what it is."""
    if os.geteuid() == 0 and not job["privileged"]:
        for one in (work, *work.iterdir()):
            os.chown(one, NOBODY, NOBODY, follow_symlinks=False)
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    command = [sys.executable, "-P", "-c", _PROGRAM, str(work), str(Path(serve_app.__file__).parents[1])]
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(  # noqa: S603 - this very Python
            command, env={**kept, "OMP_NUM_THREADS": "1"}, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=said, start_new_session=True,
        ) as process,
    ):  # fmt: skip
        try:
            out, _ = process.communicate(json.dumps(job).encode(), timeout=SECONDS)
        except subprocess.TimeoutExpired:
            raise ConfigError(f"the pickle wasn't loaded and tried within {SECONDS} s") from None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
        if process.returncode:
            raise ConfigError(f"in the process apart: {_why(work, said, process.returncode)}")
    return [str(one) for one in json.loads(out.splitlines()[0])]


def _why(work: Path, said: BinaryIO, code: int) -> str:
    said.seek(max(0, said.seek(0, os.SEEK_END) - _MOST_SAID))
    last = said.read(_MOST_SAID)
    try:
        with opened(work / "error.txt", MOST_TEXT) as file:
            text = file.read(MOST_TEXT)
    except ConfigError:
        text = b""
    found = (text or last).decode("utf-8", "replace").strip() or f"it ended with {code}"
    return "".join(one if one.isprintable() or one == "\n" else "?" for one in found)  # a terminal's


def opened(path: Path, most: int) -> BinaryIO:
    """A file that such a process left; ConfigError where it is a link, no file, or a large one."""
    try:
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise ConfigError(f"the process apart left no {path.name}: {error.strerror}") from None
    about = os.fstat(number)
    if not stat.S_ISREG(about.st_mode) or about.st_nlink != 1 or about.st_size > most:
        os.close(number)
        raise ConfigError(f"the process apart left a {path.name} that is no file of up to {most} bytes")
    return os.fdopen(number, "rb")


def copied(path: Path, to: Path, most: int) -> Path:
    """Such a file, where its maker can't change it any more."""
    with opened(path, most) as file, to.open("xb") as copy:
        shutil.copyfileobj(file, copy)
    return to


def said(path: Path) -> Said:
    """What made.json says, of which no more is taken than what this command itself would write."""
    with opened(path, MOST_TEXT) as file:
        try:
            found = json.loads(file.read(MOST_TEXT))
            made = Said(**{name: found[name] for name in ("file", "options", "kind", "default")})
            fits = made.format == found["format"] and _options_fit(made)
            fits = fits and isinstance(made.kind, str) and made.default.isidentifier()
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            fits = False
    if not fits:
        raise ConfigError("the process apart says that it made what isn't made here")
    return made


def _options_fit(made: Said) -> bool:
    types = made.options.get("trustedTypes")
    if made.format == "sklearn" and types:
        return [*made.options] == ["trustedTypes"] and all(isinstance(one, str) for one in types)
    return not made.options or (made.format == "xgboost" and made.options == {"interface": "sklearn"})


def arrays(path: Path) -> Arrays:
    """What forms.write wrote there."""
    with opened(path, MOST_ARRAYS) as file:
        try:
            with zipfile.ZipFile(file) as parts:
                total = sum(part.file_size for part in parts.infolist())  # no more is unpacked
            file.seek(0)
            found = read(file) if total <= MOST_ARRAYS else None
        except Exception as error:
            raise ConfigError(f"{path.name} of the process apart: {type(error).__name__}") from None
    if found is None or not all(
        name.isidentifier() and array.ndim and array.dtype.kind in "fiubO"
        for name, array in found.items()
    ):
        raise ConfigError(f"{path.name} of the process apart holds no answers of a model")
    return found
