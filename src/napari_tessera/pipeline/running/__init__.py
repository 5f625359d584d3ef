"""How work on images of any size runs: tiles and threads, cached chunks, outputs, cancelling."""
