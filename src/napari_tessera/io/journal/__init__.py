"""Annotation on disk: a log of every action, folded into zarr chunks, in a session folder that survives a crash."""
