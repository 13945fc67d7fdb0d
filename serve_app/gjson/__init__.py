"""GJSON's paths: `read` one, ask whether it `exists` in a JSON value."""

from serve_app.gjson.path import Path, read

__all__ = ["Path", "read"]
