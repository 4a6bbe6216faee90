"""Franka Kitchen: tasks, protocols, cameras, experts and demonstrations."""
