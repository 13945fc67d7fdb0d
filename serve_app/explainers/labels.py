"""The names of an output's classes."""

from serve_app.protocol.metadata import VersionDescription


def labels_of(about: VersionDescription, output: str) -> list[str] | None:
    """None where nobody knows."""
    for spec in about.outputs:
        if spec.name == output or not output:
            return spec.labels
    return None
