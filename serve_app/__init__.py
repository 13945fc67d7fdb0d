"""Tandem: models on Ray Serve behind the Open Inference Protocol (V2)."""

__version__ = "0.1.0"
