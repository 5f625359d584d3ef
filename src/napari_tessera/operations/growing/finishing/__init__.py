"""What is done to a region that has grown to its end."""
