"""Credentials in addresses and texts: gone from what is said, and the rest is what it was."""

import logging

import pytest

from serve_app.errors import ConfigError, Unavailable
from serve_app.redact import redacted

SECRETS = ("hunter2", "s3cr3t", "0f1e2d")


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("https://user:hunter2@host/m", "https://***@host/m"),
        ("'https://user:hun@ter2s3cr3t@host/m': no", "'https://***@host/m': no"),
        ("https://user:s3cr3t/x@host/m", "https://***@host/m"),
        ("https://hunter2@host:8443/m", "https://***@host:8443/m"),
        ("postgresql+psycopg://u:hunter2@db/x and s3://k:s3cr3t@b/p",
         "postgresql+psycopg://***@db/x and s3://***@b/p"),
        ("https:/user:hunter2@host/m", "https:/***@host/m"),
        ("no folder at /srv/user:hunter2@host/m", "no folder at /srv/***@host/m"),
        ("https://b.s3.amazonaws.com/m?X-Amz-Signature=0f1e2d&X-Amz-Date=1", "https://b.s3.amazonaws.com/m?***"),
        ("https://b.blob.core.windows.net/m?sv=2&sig=0f1e2d%3D", "https://b.blob.core.windows.net/m?***"),
        ("https://host/m#access_token=hunter2", "https://host/m#***"),
        ("with url: /m?X-Amz-Signature=0f1e2d&X-Amz-Credential=s3cr3t (Caused by …)",
         "with url: /m?X-Amz-Signature=***&X-Amz-Credential=*** (Caused by …)"),
        ("AccountName=a;AccountKey=s3cr3t==;x", "AccountName=a;AccountKey=***;x"),
        ("AWS_SECRET_ACCESS_KEY=s3cr3t HF_TOKEN=hunter2", "AWS_SECRET_ACCESS_KEY=*** HF_TOKEN=***"),
        ("{'Authorization': 'Bearer hunter2'}", "{'Authorization': 'Bearer ***'}"),
    ],
)  # fmt: skip
def test_credentials_are_hidden(text, left):
    assert redacted(text) == left
    assert not any(secret in redacted(text) for secret in SECRETS)


@pytest.mark.parametrize(
    "text",
    [
        "storageUri 's3://bucket/models/digits': no support for s3://",
        "http://127.0.0.1:8000/v2/models/m/infer answered 503",
        "max_tokens=5 is more than the model has, token 7",
        "tensor 'x': expected [-1, 4], got [2, 3] at 12:30, mail to a@b.example",
        "model 'm' version 1: ValueError: 3 != 4",
    ],
)
def test_the_rest_stays(text):
    assert redacted(text) == text


def test_no_text_takes_long():
    redacted("://" * 10_000 + "a:" * 10_000 + "?=" * 10_000)


def test_what_clients_see_of_an_error():
    error = Unavailable("model 'm' is not ready: storageUri 'https://u:hunter2@h/m': no support")
    assert error.message == "model 'm' is not ready: storageUri 'https://***@h/m': no support"


def test_what_stands_in_logs(caplog):
    log = logging.getLogger("tandem")
    try:
        try:
            raise OSError("403 for url: https://h/m?sig=0f1e2d")
        except OSError as error:
            raise ConfigError("https://u:hunter2@h/m can't be read") from error
    except ConfigError as error:
        log.exception("loading %s: %s", "s3://k:s3cr3t@b", error)
    assert "loading s3://***@b: https://***@h/m can't be read" in caplog.text
    assert "OSError: 403 for url: https://h/m?***" in caplog.text
    assert "Traceback" in caplog.text
    assert not any(secret in caplog.text for secret in SECRETS)
