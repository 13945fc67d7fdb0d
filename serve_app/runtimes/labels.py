"""The names of an output's classes, for answers to Triton's classification requests."""

from pathlib import Path

from serve_app.config import ModelConfig
from serve_app.errors import ConfigError
from serve_app.protocol.metadata import VersionDescription


def put_labels(config: ModelConfig, signature: VersionDescription, folder: Path | None) -> None:
    """What the configuration says of them, into the signature. ConfigError without such a file."""
    said = {one.name: one for one in config.outputs}
    for spec in signature.outputs:
        one = said.get(spec.name)
        if one is not None and one.label_filename is not None:
            spec.labels = read_labels(folder, one.label_filename)
        elif one is not None and one.labels is not None:
            spec.labels = one.labels


def read_labels(folder: Path | None, name: str) -> list[str]:
    """A name in each line of a file in a version's `folder`, or in the model's around it."""
    if folder is None:
        raise ConfigError(f"labelFilename '{name}': without storageUri there is no folder; use labels")
    places = [folder, *([folder.parent] if folder.name.isdecimal() else [])]
    for place in places:
        if (file := place / name).is_file():
            try:
                return file.read_text(encoding="utf-8").splitlines()
            except (OSError, UnicodeDecodeError) as error:
                raise ConfigError(f"labelFilename '{name}': {file}: {error}") from None
    raise ConfigError(f"labelFilename '{name}': not in {' nor in '.join(map(str, places))}")
