"""Restoration of blurred images, as functions on arrays: point spread functions and deconvolution."""
