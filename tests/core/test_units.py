import pytest

from napari_tessera.core.units import OME_SYMBOLS, unit_name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("µm", "micrometer"),
        ("μm", "micrometer"),
        ("um", "micrometer"),
        ("Micron", "micrometer"),
        ("\\u00B5m", "micrometer"),
        ("micrometre", "micrometer"),
        ("nm", "nanometer"),
        (" s ", "second"),
        ("sec", "second"),
        ("inch", "inch"),
        ("parsec", "parsec"),
        ("UM", "micrometer"),
        ("\u039cM", "micrometer"),
        (r"\u03bcm", "micrometer"),
        ("MICROMETERS", "micrometer"),
        ("nanometers", "nanometer"),
        ("NM", "nanometer"),
        ("mm", "millimeter"),
        ("Mm", "megameter"),
        ("MM", "millimeter"),
        ("ms", "millisecond"),
        ("Å", "angstrom"),
        ("1/micrometer", "1/micrometer"),
        ("Furlong", "Furlong"),
        ("pixel", None),
        ("", None),
        (None, None),
    ],
)
def test_each_unit_has_one_name(text: str | None, name: str | None) -> None:
    assert unit_name(text) == name


@pytest.mark.parametrize("name", OME_SYMBOLS)
def test_ome_symbols_lead_back_to_the_name(name: str) -> None:
    assert unit_name(OME_SYMBOLS[name]) == name
    assert unit_name(name) == name
