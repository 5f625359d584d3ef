"""The widget Sessions and what stands behind it: what is painted is written to disk while it is painted."""
