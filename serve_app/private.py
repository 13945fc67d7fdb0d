"""Folders that are their user's alone, in places where others may write too."""

import os
from pathlib import Path
from stat import S_ISDIR


def private(folder: Path) -> bool:
    """Make it where it isn't there; whether it is this user's, and nobody else may look into it.

    A link to such a folder is none. OSError where it can't be made.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    about = folder.lstat()
    return S_ISDIR(about.st_mode) and about.st_uid == os.geteuid() and not about.st_mode & 0o077
