"""Simulated egocentric clips: a free-floating human-like hand works the kitchen's fixtures."""
