"""What a process gives up before it unpickles: network, privileges, other processes, files.

Each step is the kernel's, and each may be refused (an old kernel, a container's seccomp profile, no
user namespaces). `confine` takes those that it can, and says which it couldn't.
"""

import ctypes
import os
import resource
import signal
import struct
from collections.abc import Callable, Iterable
from pathlib import Path

NOBODY = 65534
_NEWNS, _NEWIPC, _NEWUSER, _NEWPID, _NEWNET = 0x20000, 0x8000000, 0x10000000, 0x20000000, 0x40000000
_PDEATHSIG, _NO_NEW_PRIVS = 1, 38
_CREATE, _ADD, _RESTRICT = 444, 445, 446  # Landlock's system calls, on every architecture
_READ, _ALL = 0b1101, 0x1FFF  # execute, read files and folders; and everything, as of its ABI 1
_MEMORY, _CPU_S, _FILE, _FILES = 16 * 2**30, 600, 8 * 2**30, 1024
_libc = ctypes.CDLL(None, use_errno=True)


def confine(readable: Iterable[Path], work: Path, privileged: bool) -> list[str]:
    """Never comes back in the process that called it, but in its child. What couldn't be given up.

    `readable`: what may be read. Only `work` may be written to. `privileged`: stay who one is.
    """
    left: list[str] = []
    os.environ.update(HOME=str(work), TMPDIR=str(work))
    os.chdir(work)
    _limits()
    if os.geteuid() == 0 and not privileged:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    elif os.geteuid() == 0:
        left.append("it is root, since others can't read what Python and its packages lie in")
    _try(_namespaces, "network, processes and sockets of this machine", left)
    _fork()
    _check(_libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl")
    _try(lambda: _landlock(readable, work), "files that this user may read", left)
    _drop()
    _libc.prctl(_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    return left


def _try(step: Callable[[], None], what: str, left: list[str]) -> None:
    try:
        step()
    except OSError as error:
        left.append(f"{what} ({error.strerror})")


def _check(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def _limits() -> None:
    """Against what was not meant: a pickle that never ends, or fills memory or disk."""
    for what, most in (
        (resource.RLIMIT_AS, _MEMORY),
        (resource.RLIMIT_CPU, _CPU_S),
        (resource.RLIMIT_FSIZE, _FILE),
        (resource.RLIMIT_NOFILE, _FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(what)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)  # noqa: PLW2901
        resource.setrlimit(what, (most, most))


def _namespaces() -> None:
    """A network without interfaces, processes of one's own, and nothing where services' sockets are."""
    uid, gid = os.geteuid(), os.getegid()
    _check(_libc.unshare(_NEWUSER | _NEWNET | _NEWIPC | _NEWPID | _NEWNS), "unshare")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{NOBODY} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{NOBODY} {gid} 1")
    _check(_libc.mount(b"none", b"/run", b"tmpfs", 0, None), "mount")


def _fork() -> None:
    """On as the first of its processes, if they are its own; the one before waits, and ends as it."""
    if child := os.fork():
        _, status = os.waitpid(child, 0)
        os._exit(os.waitstatus_to_exitcode(status) % 256)


def _landlock(readable: Iterable[Path], work: Path) -> None:
    abi = _check(_libc.syscall(_CREATE, None, 0, 1), "Landlock")
    everything = _ALL | (0x2000 if abi >= 2 else 0) | (0x4000 if abi >= 3 else 0)
    # From ABI 4 on TCP, from 6 on signals and abstract sockets of others.
    parts = [everything, 0b11, 0b11][: 1 if abi < 4 else 2 if abi < 6 else 3]
    attributes = struct.pack(f"={len(parts)}Q", *parts)
    ruleset = _check(_libc.syscall(_CREATE, attributes, len(attributes), 0), "Landlock")
    for path in (*readable, work):
        allowed = everything if path == work else _READ
        try:
            folder = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        if not path.is_dir():
            allowed &= 0b101
        rule = struct.pack("=Qi", allowed, folder)
        _check(_libc.syscall(_ADD, ruleset, 1, rule, 0), "Landlock")
        os.close(folder)
    _check(_libc.syscall(_RESTRICT, ruleset, 0), "Landlock")
    os.close(ruleset)


def _drop() -> None:
    """The capabilities that come with namespaces of one's own."""
    header, nothing = struct.pack("=Ii", 0x20080522, 0), struct.pack("=6I", *[0] * 6)
    _libc.capset(header, nothing)
