"""Geometric transforms."""
