"""The repository's own files: what git tracks. A user's models, configs and programs lie beside them."""

import shutil
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]


@cache
def tracked(pattern: str) -> list[Path]:
    """The files of the repository that `pattern` names (`**` crosses folders), sorted.

    Where there is no git, whatever lies there.
    """
    if not is_checkout():
        return sorted(path for path in ROOT.glob(pattern) if path.is_file())
    command = ["git", "ls-files", "-z", "--", f":(glob){pattern}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    files = (ROOT / name for name in done.stdout.split("\0") if name)
    return sorted(path for path in files if path.exists())


def is_checkout() -> bool:
    """Whether git can be asked."""
    return (ROOT / ".git").exists() and shutil.which("git") is not None
