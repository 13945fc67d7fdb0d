"""KServe's Python interface, as far as a transformer uses it: `kserve.Model` and the tensors of V2.

Classes that are written for KServe run here as they are, without its package (`stand_in`).
"""
