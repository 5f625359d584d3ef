"""Labels made to be painted in."""
