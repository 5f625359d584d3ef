"""Regions that grow from seeds over pixels of like intensity."""
