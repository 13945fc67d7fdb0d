"""Runtimes: one file per framework, each imported only when a model asks for it."""
