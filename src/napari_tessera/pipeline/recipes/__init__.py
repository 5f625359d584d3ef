"""Saved graphs of operations: files, recording, replaying."""
