"""Filters in the frequency domain, as functions on arrays: spectrum, band and notch filters, and their borders."""
