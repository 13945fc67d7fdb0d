"""Every private name of Ray, uvicorn, grpc, vLLM and HAProxy's configuration that Tandem leans on.

Nothing of the kind stands elsewhere (tests/package/test_private_names.py), and each is held against
the installed packages by name (tests/contracts)."""
