"""`tandem local`: a RayService manifest on this machine, run as KubeRay's operator would run it.

Ray does all the work: nodes are what the pods' containers would start (`ray start --block`), Serve gets
`serveConfigV2` through the dashboard, and HAProxy stands where the Kubernetes services would.
"""
