"""Images in files: adapters that read them lazily, sinks that write them atomically."""
