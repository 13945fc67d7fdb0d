"""The repository API: who may load and unload models while they are served, and which."""

import re

from pydantic import Field, field_validator

from serve_app.config.base import Config

_HEADER = re.compile(r"[a-z0-9-]+")
_CLASS = re.compile(r"[A-Za-z_][\w.]*(:[A-Za-z_]\w*)?")


class Allow(Config):
    """What a request may bring that the configuration doesn't have. Nothing of it unless it is said."""

    classes: list[str] = []
    """For modelFormat python: classes, as `package.module:ClassName`, or modules, as `package.module`.
    A class may do whatever its process may.
    """
    storage: list[str] = []
    """Folders and buckets, as `/models` or `s3://bucket/models`: a `storageUri` that a request brings
    has to lie in one of them.
    """
    trusted: bool = False
    """Whether a request may bring `trusted: true`, or other files for a model that has it."""

    @field_validator("classes")
    @classmethod
    def _named(cls, classes: list[str]) -> list[str]:
        for one in classes:
            if not _CLASS.fullmatch(one):
                raise ValueError(f"expected package.module:ClassName or package.module, got '{one}'")
        return classes


class Webhook(Config):
    """`POST /v2/repository/webhook`, as MLflow's registry calls it, or anybody with the token."""

    secret_variable: str = Field(default="TANDEM_WEBHOOK_SECRET", min_length=1)
    """The environment variable that has the secret with which MLflow signs."""
    secret_file: str | None = None
    """A file that has it, instead of the variable."""
    models: dict[str, str] = {}
    """Which of Tandem's models a registered model is, where the names differ."""


class Admin(Config):
    """Load and unload over HTTP and gRPC, for those who have the token."""

    token_variable: str = Field(default="TANDEM_ADMIN_TOKEN", min_length=1)
    """The environment variable that has the token."""
    token_file: str | None = None
    """A file that has the token, instead of the variable: a mounted secret, say. It may change."""
    header: str = "admin-key"
    """The header that may bring the token, as Triton's `--http-restricted-api` has one, beside
    `Authorization: Bearer`. In gRPC it may begin with `triton-grpc-protocol-`.
    """
    state_uri: str | None = None
    """A folder, or a folder of a bucket (`s3://…`), that keeps what was loaded and unloaded. Without it
    Ray's GCS does, which forgets it with the cluster unless it has a Redis.
    """
    timeout: float = Field(default=120, gt=0)
    """Seconds that a load or unload waits for the Routers."""
    max_upload_bytes: int = Field(default=64 * 2**20, ge=0)
    """The most bytes of files that a load may bring; 0 is none."""
    allow: Allow = Allow()
    """What a request may bring that the configuration doesn't have."""
    poll_interval: float = Field(default=0, ge=0)
    """Seconds between two looks for new versions where models lie; 0 is never."""
    webhook: Webhook | None = None
    """Whether a registry may call when it has a new version."""

    @field_validator("header")
    @classmethod
    def _a_header(cls, header: str) -> str:
        if not _HEADER.fullmatch(header.lower()) or header.lower() == "authorization":
            raise ValueError(f"expected the name of a header of its own, got '{header}'")
        return header.lower()
