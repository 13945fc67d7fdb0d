"""The twin: KServe's model server with Tandem's models, their tokenizers included.

It runs in an environment of its own, from the repository's root, and never imports Ray.
"""
