"""The widget Train."""
