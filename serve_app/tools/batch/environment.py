"""What Ray reads from variables when it is first imported: by then they have to be there."""

import os


def prepare() -> None:
    """One way to authenticate at both ends of a Ray of this machine; no words about its own actors."""
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    if "RAY_ADDRESS" not in os.environ:
        os.environ.setdefault("RAY_AUTH_MODE", "token")
