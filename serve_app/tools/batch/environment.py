"""What Ray reads from variables when it is first imported: by then they have to be there."""

import os


def prepare() -> None:
    """For a Ray of this machine, one way to authenticate at both ends; and no words about its own actors."""
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    if "RAY_ADDRESS" not in os.environ:
        os.environ.setdefault("RAY_AUTH_MODE", "token")
