"""Thresholds found from histograms or from the window around a pixel, and pixels grouped by intensity."""
