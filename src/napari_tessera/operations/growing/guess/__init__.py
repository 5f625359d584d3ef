"""What a first click starts with: a smoothing and a tolerance, from what surrounds it."""
