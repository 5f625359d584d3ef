"""Recipes: recorded on layers, saved, replayed."""
