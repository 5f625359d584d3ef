"""What the numbers that a network gives mean: a class of each pixel, so far."""
