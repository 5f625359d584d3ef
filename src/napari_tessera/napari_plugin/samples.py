"""Sample data under File ▸ Open Sample: an image with scribbles that the Train widget takes up as they are."""

from typing import Any

from napari_tessera.napari_plugin.journal.api import protect_marked_soon
from napari_tessera.napari_plugin.layers.images import class_colormap
from napari_tessera.napari_plugin.layers.notes import class_entries, noted
from napari_tessera.pipeline.samples.samples import Sample, load_sample

LayerTuple = tuple[Any, dict[str, Any], str]


def nuclei() -> list[LayerTuple]:
    """Return synthetic nuclei and scribbles on them."""
    protect_marked_soon()
    return sample_layers(load_sample("nuclei"))


def membranes() -> list[LayerTuple]:
    """Return a synthetic electron micrograph and scribbles on it."""
    protect_marked_soon()
    return sample_layers(load_sample("membranes"))


def tissue() -> list[LayerTuple]:
    """Return a stained section and scribbles on it."""
    protect_marked_soon()
    return sample_layers(load_sample("tissue"))


def sample_layers(sample: Sample) -> list[LayerTuple]:
    """Return the image of a sample and its scribbles, as napari takes layers from a plugin."""
    spec = sample.scribbles_spec
    placed = {
        "scale": spec.scale,
        "translate": spec.translate,
        "units": [unit or "pixel" for unit in spec.units],
        "axis_labels": list(spec.axes),
    }
    colors = sample.class_colors
    classes = class_entries({number: (name, colors[number]) for number, name in sample.class_names.items()})
    return [
        (sample.image, {"name": sample.name, "rgb": sample.spec.axes.endswith("c"), **placed}, "image"),
        (
            sample.scribbles.copy(),
            {
                "name": f"{sample.name} · annotation",
                "colormap": class_colormap(colors),
                "metadata": noted({"classes": classes, "protect": True}),
                **placed,
            },
            "labels",
        ),
    ]
