"""Objects made by a click in an image, and labels corrected."""
