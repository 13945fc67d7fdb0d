"""Ray's own keys and values in its GCS."""

import inspect

from ray.experimental import internal_kv as kv


def test_how_they_are_called():
    inspect.signature(kv._internal_kv_get).bind("key", namespace=b"n")
    inspect.signature(kv._internal_kv_put).bind("key", b"value", overwrite=True, namespace=b"n")
    inspect.signature(kv._internal_kv_del).bind("key", namespace=b"n")
    inspect.signature(kv._internal_kv_list).bind("prefix", namespace=b"n")


def test_what_is_put_is_got(live):
    assert live("gcs", "keys") == [None, "one", "two", ["state"], None, "of another"]
