"""Networks: what they have in common, how far they see, and one module for each architecture."""
