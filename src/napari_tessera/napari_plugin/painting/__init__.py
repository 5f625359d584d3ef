"""The one place that knows napari's private ways of painting, undoing and showing."""
