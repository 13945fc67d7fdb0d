"""Tandem and vLLM's own server around the same engine, in turn: tokens per second, first tokens."""
