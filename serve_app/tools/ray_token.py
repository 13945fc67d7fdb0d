"""Ray's token of this user: whoever can read it can run code as its owner."""

import contextlib
import os
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path


def token_file(env: Mapping[str, str] = os.environ) -> Path:
    """Where Ray's own clients look for a token, without a variable that has it."""
    return Path(env.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")


def token(env: Mapping[str, str] = os.environ) -> str:
    """Ray's, from where Ray's own clients take it; '' where there is none."""
    if value := env.get("RAY_AUTH_TOKEN"):
        return value
    with contextlib.suppress(OSError):
        return token_file(env).read_text().strip()
    return ""


def own_token() -> str:
    """The same. Where there is none one is made and kept there, for its owner alone, and one that
    others can read is closed: Ray would make it readable for everybody.

    So what runs here can be asked by `tandem doctor`, `serve status` and whatever else of this user.
    """
    if value := os.environ.get("RAY_AUTH_TOKEN"):
        return value
    file, made = token_file(), secrets.token_hex(32)  # as Ray makes them
    with contextlib.suppress(OSError):  # somebody else's, or nowhere to write
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            kept = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            if stat.S_IMODE(file.stat().st_mode) & 0o077:
                file.chmod(0o600)
        else:
            with os.fdopen(kept, "w") as opened:
                opened.write(made)
    return token() or made
