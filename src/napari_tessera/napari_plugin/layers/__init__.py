"""What a layer is: an image, a result, a place, what is seen of it."""
