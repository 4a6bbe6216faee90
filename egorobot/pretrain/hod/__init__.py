"""Captions of hand-object dynamics: what detectors saw in a clip, told in words and checked."""
