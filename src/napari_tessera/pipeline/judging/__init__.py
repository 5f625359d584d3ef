"""How good a result is, against the truth."""
