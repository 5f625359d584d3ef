"""Synthetic images with truth, strokes on them, and the samples that the package offers."""
