"""The widget Filter & threshold."""
