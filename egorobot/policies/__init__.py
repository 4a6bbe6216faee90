"""Encoders, their embeddings, and robomimic policies on top of them."""

import contextlib
import io

# On its first import robomimic prints how to set up macros that nobody here needs.
with contextlib.redirect_stdout(io.StringIO()):
    import robomimic.macros  # noqa: F401
