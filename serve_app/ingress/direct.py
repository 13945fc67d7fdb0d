"""Where manifests written before find `middlewares` (serve_app.app has every such name)."""

from serve_app.ingress.fast_path import middlewares

__all__ = ["middlewares"]
