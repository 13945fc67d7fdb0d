"""What Tandem is measured beside, KServe's server (loadtests.kserve) apart: MLServer and the limits.

MLServer runs in an environment of its own, from the repository's root, and never imports Ray.
"""
