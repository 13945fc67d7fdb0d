"""`make proofs`: what clients notice of changes and failures, on a RayService run by `tandem local`."""
