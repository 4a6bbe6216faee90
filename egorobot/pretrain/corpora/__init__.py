"""Corpora of clips that lie on disk: videos with annotation files, and shards."""
