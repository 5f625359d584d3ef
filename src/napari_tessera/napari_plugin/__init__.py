"""The napari plugin: layer conversion, the worker process, sample data and widgets."""
