"""The models that were trained here: what there is, and what can be done with them."""
