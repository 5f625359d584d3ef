"""Figures of a whole frame that add up from its pieces: sums, histograms, percentiles."""
