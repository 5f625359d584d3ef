"""Grey levels mapped, equalised, and combined over images."""
