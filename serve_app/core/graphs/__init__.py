"""Graphs among the models of a directory: how their steps are asked, how they look from outside."""
