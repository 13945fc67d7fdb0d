"""Ray's token on this machine: whoever can read it can run code as its owner."""

import contextlib
import os
import secrets
import stat
from pathlib import Path


def private_token() -> None:
    """Let the file that Ray takes its token from be there, and be its owner's alone.

    Ray would make it readable for everybody.
    """
    if os.environ.get("RAY_AUTH_TOKEN"):
        return
    path = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")
    with contextlib.suppress(OSError):  # somebody else's, or nowhere to write: Ray says what it needs
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            if stat.S_IMODE(path.stat().st_mode) & 0o077:
                path.chmod(0o600)
        else:
            with os.fdopen(file, "w") as opened:
                opened.write(secrets.token_hex(32))  # as Ray makes them
