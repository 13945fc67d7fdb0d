"""What may be said of a model of another V2 server."""

import pytest

from serve_app.config import InlineModel, RemoteModel, parse
from serve_app.errors import ConfigError


def model(address: str) -> dict:
    return {"options": {"address": address, "model": "there"}}


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("127.0.0.1:8080", "an address is http://HOST:PORT"),
        ("ftp://host", "an address is"),
        ("file:///etc/passwd", "an address is"),
        ("http://", "an address is"),
        ("http://host:99999", "an address is"),
        ("http://host/?a=b", "an address is"),
        ("http://user:secret@host", "holds no credentials"),
        ("grpc://host/path", "an address of gRPC has no path"),
    ],
)
def test_addresses_that_are_none(address, said):
    with pytest.raises(ConfigError, match=said) as error:
        parse(InlineModel, {"name": "m", "modelFormat": "triton", "options": {"address": address}})
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"storageUri": "models/m"}, "no storageUri"),
        ({"batching": {"maxBatchSize": 4}}, "no batching"),
        ({"trusted": True}, "no trusted"),
        ({"options": {}}, "address: required"),
    ],
)
def test_what_is_the_other_server_s_affair(more, said):
    with pytest.raises(ConfigError, match=said):
        parse(InlineModel, {"name": "m", "modelFormat": "v2", **model("http://h:1"), **more})


def test_it_needs_no_processes():
    with pytest.raises(ConfigError, match="an entry of the Router's `models`"):
        parse(RemoteModel, {"modelFormat": "v2", **model("http://h:1")})
