"""How Ray's own processes know each other."""

from ray._private.authentication.authentication_utils import is_token_auth_enabled
from ray._raylet import AuthenticationTokenLoader  # type: ignore[attr-defined]


def credentials() -> bytes:
    """The Authorization header that they send; b'' where they know each other without."""
    if not is_token_auth_enabled():
        return b""
    (value,) = AuthenticationTokenLoader.instance().get_token_for_http_header().values()
    return value.encode() if isinstance(value, str) else bytes(value)
