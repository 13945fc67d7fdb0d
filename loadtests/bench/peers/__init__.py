"""The servers that Tandem is measured beside: KServe's and MLServer's, around Tandem's own runtimes.

Each runs in an environment of its own, from the repository's root, and never imports Ray.
"""
