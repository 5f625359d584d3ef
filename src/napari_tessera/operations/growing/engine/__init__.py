"""Regions that grow: the queue, the window it goes through, and what it compares."""
