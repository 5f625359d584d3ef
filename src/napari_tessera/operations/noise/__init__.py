"""Noise added on purpose, the same in any tile."""
