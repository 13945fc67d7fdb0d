"""Where requests and answers are logged, in the words of KServe's logger."""

import re
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from serve_app.config.base import Config, did_you_mean

STORES = ("file", "s3", "gs", "gcs", "az", "abfs", "abfss")
SCHEMES = ("http", "https", "kafka", *STORES)
_LABEL = "[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST = re.compile(
    rf"({_LABEL}(\.{_LABEL})*\.?|\[[0-9A-Fa-f:.]+(%25[^]]+)?\])(:(?P<port>[0-9]{{1,9}}))?"
)
_FIELD = re.compile(r"[^.\s][^.]*(\.[^.]+)*")


def _check_hosts(url: str, netloc: str, several: bool) -> None:
    if found := re.search(r"[^!-~]", url):
        raise ValueError(f"has {found[0]!a}, and may have ASCII without blanks alone: write it as %XX")
    if "@" in netloc:
        raise ValueError("has credentials, which aren't used and don't belong here")
    for one in netloc.split(",") if several else [netloc]:
        host, port = _HOST.fullmatch(one), one.rpartition(":")[2]
        if host is None:
            raise ValueError(f"{one!r} is no host, nor HOST:PORT")
        if host["port"] and not 0 < int(host["port"]) < 2**16:
            raise ValueError(f"the port is a number from 1 to 65535, not {port}")


class Batch(Config):
    """How many events are written together, to a store."""

    max_events: int = Field(default=1000, ge=1)
    """The most events in a file."""
    max_bytes: int = Field(default=8 * 2**20, ge=1)
    """The most bytes of bodies in a file, about."""
    max_seconds: float = Field(default=60, gt=0)
    """The longest that an event waits for others."""


class Queue(Config):
    """What may wait for a sink; what comes beyond it is dropped and counted."""

    max_events: int = Field(default=10_000, ge=1)
    """The most events."""
    max_bytes: int = Field(default=64 * 2**20, ge=1)
    """The most bytes of their bodies."""


class PayloadLogger(Config):
    """One logger."""

    url: str = Field(repr=False)  # it may hold credentials
    """Where events go: `http://` or `https://`, one CloudEvent each; `kafka://BROKER:PORT/TOPIC`; `file:///`,
    `s3://`, `gs://` or `az://`, files of many.
    """
    name: str | None = Field(default=None, pattern=r"^[A-Za-z0-9._-]{1,64}$")
    """What the logger is called in metrics and the log; without it, its place in the list from 0 on, or
    the next number that no other has.
    """
    mode: Literal["all", "request", "response"] = "all"
    """Which of the two is logged."""
    models: list[str] = []
    """The models whose requests are logged; without any, all of them."""
    sample: float = Field(default=1, gt=0, le=1)
    """The share of requests that is logged, at random: 0.1 is every tenth."""
    redact: list[str] = []
    """What is taken out of bodies: names of fields down from the top, as `instances.name`. A list stands
    for its elements, `*` for any name, and a tensor's name below `inputs` or `outputs` for its data.
    """
    metadata_headers: list[str] = []
    """Headers of the request that go with its events, as the attribute `metadata`."""
    max_body_bytes: int = Field(default=2**20, ge=0)
    """Bodies of more than this are logged without their contents."""
    format: Literal["json", "parquet"] = "json"
    """Of files: JSON lines, or Parquet."""
    batch: Batch = Batch()
    """Of files: how large they become."""
    queue: Queue = Queue()
    """What may wait for the sink."""
    inference_service: str | None = None
    """The attribute `inferenceservicename`; without it, the model's name."""
    component: Literal["predictor", "transformer", "explainer"] = "predictor"
    """The attribute `component`: what of an InferenceService it is that is logged."""
    source: str = "http://localhost:9081/"
    """The attribute `source`, which is that of KServe's agent."""
    namespace: str = "default"
    """The attribute `namespace`."""
    tls_skip_verify: bool = False
    """Whether any certificate of an `https://` sink is taken."""

    @field_validator("url")
    @classmethod
    def _known(cls, url: str) -> str:
        if found := re.search(r"[\x00-\x1f\x7f]", url):  # which urlsplit passes over in silence
            raise ValueError(f"has {found[0]!a}, which no address has")
        parts = urlsplit(url)
        if parts.scheme not in SCHEMES:
            raise ValueError(
                f"starts with one of {', '.join(f'{one}://' for one in SCHEMES)}"
                f"{did_you_mean(parts.scheme, SCHEMES) if parts.scheme else ''}"
            )
        if parts.scheme != "file" and not parts.netloc:
            raise ValueError(f"{parts.scheme}:// and then a host, or a bucket")
        if parts.password is not None:
            raise ValueError("has credentials, which aren't used and don't belong here")
        if re.search(r"[^!-~]", parts.netloc):
            raise ValueError("a host's or bucket's name has ASCII without blanks alone")
        if parts.scheme not in STORES:
            _check_hosts(url, parts.netloc, parts.scheme == "kafka")
        if parts.scheme == "file" and (parts.netloc or not parts.path.strip("/")):
            raise ValueError("file:/// and then a folder")
        if parts.scheme == "kafka" and not re.fullmatch(r"/[A-Za-z0-9._-]{1,249}", parts.path):
            raise ValueError("kafka://BROKER:PORT/TOPIC, several brokers with commas between them")
        return url

    @field_validator("redact")
    @classmethod
    def _fields(cls, paths: list[str]) -> list[str]:
        for one in paths:
            if not _FIELD.fullmatch(one):
                raise ValueError(f"{one!r} is no path of names with dots between them")
        return paths

    @model_validator(mode="before")
    @classmethod
    def _stores_alone(cls, said: Any) -> Any:
        url = said.get("url") if isinstance(said, dict) else None
        if isinstance(url, str) and url.partition("://")[0].lower() in set(SCHEMES) - set(STORES):
            for key in ("format", "batch"):
                if key in said:
                    raise ValueError(f"{key} is for files: a url of file://, s3://, gs:// or az://")
        return said
