"""What Serve starts in the place of HAProxy: it edits the configuration, has itself watched, and becomes
HAProxy.

The standard library alone, and little of it: this runs at each of HAProxy's reloads.
"""

import os
import re
import resource
import socket
import sys
from pathlib import Path

from serve_app.internals.haproxy_bounds import Bounds
from serve_app.internals.haproxy_edits import edited

_OURS = "serve_app."  # whose middlewares know the fast path
_SOCKET = re.compile(r"^\s*stats socket (\S+)", re.MULTILINE)
_BACKEND = re.compile(r"^backend (http|grpc)-", re.MULTILINE)
SERVED = ".served"  # behind the file's name: a copy of what an HAProxy has served with


def main(binary: str, narrow: bool, arguments: list[str]) -> None:
    """Become `binary`, with these arguments or what is to be instead of them."""
    if "-f" in arguments[:-1]:
        file = Path(arguments[arguments.index("-f") + 1])
        _edit(file, narrow)
        raylet = os.environ.get("RAY_RAYLET_PID", "")  # Ray has it in each of its workers
        if "-c" not in arguments and raylet.isdigit():
            arguments = taken_over(binary, file, arguments)
            # It outlives its manager, and with it what Ray ends with a worker's process group.
            os.setpgid(0, 0)
            _watch(binary, file, int(raylet), "-dR" in arguments)
    os.execv(binary, [binary, *arguments])  # noqa: S606


def _edit(file: Path, narrow: bool) -> None:
    environment = os.environ
    bounds = Bounds.of(environment, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    callback = environment.get("RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH", "")
    text = edited(file.read_text(), bounds, narrow=narrow, fast_path=callback.startswith(_OURS))
    replaced(file, text)


def replaced(file: Path, text: str) -> None:
    """Whole, for whoever reads it meanwhile."""
    new = file.with_name(f"{file.name}.{os.getpid()}")
    new.write_text(text)
    new.replace(file)


def taken_over(binary: str, file: Path, arguments: list[str]) -> list[str]:
    """The arguments with which HAProxy follows those that serve with this file, known to Serve or not.

    Serve's manager knows none when it is new. Without routes yet, it then goes on with those that
    were served until it came.
    """
    before = [str(pid) for pid in living(binary, file)]
    text = file.read_text()
    where = socket_of(text)
    heard = bool(before) and answers(where)
    if "-sf" not in arguments and heard and not _BACKEND.search(text):
        served = file.with_name(file.name + SERVED)
        if served.exists() and _BACKEND.search(last := served.read_text()):
            replaced(file, last)
    # Whom Serve names may be gone: to ask a socket that nobody answers would be the end of this one too.
    kept = [one for one in arguments if one != "-sf" and not one.isdigit()]
    if "-x" in kept:
        at = kept.index("-x")
        del kept[at : at + 2]
    return kept + (["-x", where] if heard else []) + (["-sf", *before] if before else [])


def living(binary: str, file: Path) -> list[int]:
    """The processes that are HAProxy with this configuration, or the copy of it."""
    ours = {str(file).encode(), (str(file) + SERVED).encode()}
    found = []
    for one in os.listdir("/proc"):
        if one.isdigit() and int(one) != os.getpid():
            try:
                if os.readlink(f"/proc/{one}/exe") != os.path.realpath(binary):
                    continue
                line = Path(f"/proc/{one}/cmdline").read_bytes()
            except OSError:
                continue
            if ours & {*line.split(b"\0")}:
                found.append(int(one))
    return found


def socket_of(text: str) -> str:
    """Where HAProxy takes commands, by its configuration."""
    found = _SOCKET.search(text)
    return found[1] if found else ""


def answers(where: str) -> bool:
    """Whether an HAProxy listens at this socket."""
    with socket.socket(socket.AF_UNIX) as asking:
        try:
            asking.connect(where)
        except OSError:
            return False
    return True


def _watch(binary: str, file: Path, raylet: int, no_port_sharing: bool) -> None:
    """In a process apart, that is nobody's child."""
    haproxy, manager = os.getpid(), os.getppid()
    if first := os.fork():
        os.waitpid(first, 0)
        return
    if os.fork():
        os._exit(0)
    here = str(Path(__file__).parents[2])
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]);"
        "from serve_app.internals.haproxy_watch import main; main(*sys.argv[2:])"
    )
    # The file's name isn't an argument of its own: Serve takes those that have it for HAProxy.
    said = [f"binary={binary}", f"file={file}", str(haproxy), str(manager), str(raylet)]
    plain = [sys.executable, "-I", "-S", "-c", code, here, *said, "-dR" if no_port_sharing else ""]
    os.execv(sys.executable, plain)  # noqa: S606
