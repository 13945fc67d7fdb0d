"""Kubernetes resources, read once for all tools."""
