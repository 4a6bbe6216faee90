"""Hydra config groups: data only, no logic."""
