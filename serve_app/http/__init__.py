"""ASGI bodies and answers."""
