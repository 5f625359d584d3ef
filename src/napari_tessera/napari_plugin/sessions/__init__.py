"""The Sessions widget."""
