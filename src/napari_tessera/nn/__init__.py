"""Networks and all that trains and applies them; the only package that imports torch."""
