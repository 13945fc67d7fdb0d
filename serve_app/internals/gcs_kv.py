"""Bytes in Ray's GCS, which keeps them as it keeps its own: with a Redis beyond the cluster's head."""

from ray.experimental import internal_kv as kv

_NAMESPACE = b"tandem"


class GcsKeys:
    """By name, below a prefix: an application's."""

    most = 16 * 2**20  # the GCS holds it in memory, and sends it as one message

    def __init__(self, prefix: str) -> None:
        self._prefix = f"{prefix}/"

    def get(self, name: str) -> bytes | None:
        """What is kept under the name; None for nothing."""
        found: bytes | None = kv._internal_kv_get(self._prefix + name, namespace=_NAMESPACE)
        return found

    def put(self, name: str, data: bytes) -> None:
        """Keep it, whole."""
        kv._internal_kv_put(self._prefix + name, data, overwrite=True, namespace=_NAMESPACE)

    def delete(self, name: str) -> None:
        """Keep nothing under the name."""
        kv._internal_kv_del(self._prefix + name, namespace=_NAMESPACE)

    def names(self) -> list[str]:
        """All of them."""
        found = kv._internal_kv_list(self._prefix, namespace=_NAMESPACE)
        return [one.decode().removeprefix(self._prefix) for one in found]
