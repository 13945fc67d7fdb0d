"""Simulated rollouts: Tandem's decisions beside the rules of Flagger, Argo Rollouts and Kayenta."""
