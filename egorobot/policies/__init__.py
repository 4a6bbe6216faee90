"""Encoders, their embeddings, and robomimic policies on top of them."""
