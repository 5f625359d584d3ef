import pytest

from napari_tessera.io.units import OME_SYMBOLS, unit_name


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
