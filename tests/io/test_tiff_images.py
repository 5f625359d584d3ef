"""TIFF files of several images, with planes missing or added later, and with descriptions that are cut off or wrong."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from napari_tessera.core.errors import InvalidInputError, MissingInputError, StorageError
from napari_tessera.io.opening import notes_about, open_image, open_levels
from napari_tessera.io.places import check_apart

PLANES = np.arange(5 * 6 * 8, dtype=np.uint8).reshape(5, 6, 8)


def _pixels(path: Path) -> np.ndarray:
    image = open_image(path)
    return image.read(image.spec.full_region)


def _ome(
    path: Path, sizes: str, data: str = "<TiffData/>", planes: np.ndarray = PLANES, head: str = "", step: str = "0.5"
) -> Path:
    """Write a TIFF whose OME-XML says `sizes` (``SizeZ="2" …``) and `data`, whatever its pages are."""
    given = dict(entry.split("=") for entry in sizes.split())
    lengths = {"SizeX": "8", "SizeY": "6", "SizeZ": "1", "SizeC": "1", "SizeT": "1", **given}
    attributes = " ".join(f'{name}="{value}"' for name, value in lengths.items())
    xml = (
        '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
        f'{head}<Image ID="Image:0" Name="a"><Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint8" {attributes} '
        f'PhysicalSizeX="{step}" PhysicalSizeY="0.5">{data}</Pixels></Image></OME>'
    )
    with tifffile.TiffWriter(path) as tif:
        for index, plane in enumerate(planes):
            tif.write(plane, description=xml if index == 0 else None, metadata=None, contiguous=False)
    return path


def test_frames_that_were_added_one_by_one_are_a_stack(tmp_path: Path) -> None:
    path = tmp_path / "frames.tif"
    for plane in PLANES:
        tifffile.imwrite(path, plane, append=True)
    image = open_image(path)
    assert (image.axes, image.axes_guessed, notes_about(image)) == ("zyx", True, ())
    assert np.array_equal(_pixels(path), PLANES)
    assert np.array_equal(_pixels(path / "3"), PLANES[3])
    assert open_image(path / "3").name == "frames_3"
    with pytest.raises(MissingInputError, match=r"no image 5 in .*it holds 5, frames\.tif/0 to /4"):
        open_image(path / "5")
    with pytest.raises(MissingInputError, match=r"no image 'x' .*choose frames\.tif/0 \(the first\)"):
        open_image(path / "x")


def test_images_of_other_sizes_are_named_and_can_be_chosen(tmp_path: Path) -> None:
    path = tmp_path / "two.tif"
    tifffile.imwrite(path, PLANES, photometric="minisblack")
    tifffile.imwrite(path, PLANES[0, :4], append=True)
    (note,) = notes_about(open_image(path))
    assert note == (
        "two.tif holds 2 images (/0 5 × 6 × 8; /1 4 × 8) and two.tif/0 is read: choose another by its number, "
        "two.tif/1."
    )
    assert np.array_equal(_pixels(path), PLANES)
    assert np.array_equal(_pixels(path / "1"), PLANES[0, :4])
    assert notes_about(open_image(path / "1")) == ()
    assert notes_about(open_image(path, scale=(1, 2, 2))) == (note,)
    with pytest.raises(InvalidInputError, match=r"pages of different sizes.*choose one of its images, two\.tif/0"):
        open_image(path / "pages")


def test_images_of_an_ome_tiff_have_their_own_calibration(tmp_path: Path) -> None:
    path = tmp_path / "positions.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as tif:
        tif.write(PLANES, photometric="minisblack", metadata={"axes": "ZYX", "PhysicalSizeX": 0.5})
        tif.write(
            PLANES + 1, photometric="minisblack", metadata={"axes": "TYX", "PhysicalSizeX": 2.0, "Name": "B\u202e"}
        )
    assert "positions.ome.tif holds 2 images" in notes_about(open_image(path))[0]
    assert "\u202e" not in notes_about(open_image(path))[0]
    second = open_image(path / "1")
    assert (second.axes, second.scale[-1]) == ("tyx", 2.0)
    assert (open_image(path).axes, open_image(path).scale[-1]) == ("zyx", 0.5)
    assert np.array_equal(_pixels(path / "1"), PLANES + 1)


def test_a_small_copy_is_no_further_image(tmp_path: Path) -> None:
    path = tmp_path / "thumbnail.tif"
    with tifffile.TiffWriter(path) as tif:
        tif.write(PLANES[0, ::2, 1:4], subfiletype=1, metadata=None)
        tif.write(PLANES[0], metadata=None)
    image = open_image(path)
    assert image.shape == (6, 8)
    assert notes_about(image) == ()


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_a_set_that_lacks_a_file_is_refused_by_name(tmp_path: Path, compression: str | None) -> None:
    data = "".join(
        f'<TiffData IFD="{z % 2}" FirstZ="{z}" PlaneCount="1"><UUID FileName="set_{z // 2 + 1}.ome.tif">urn:uuid:'
        f"{z // 2}</UUID></TiffData>"
        for z in range(4)
    )
    path = _ome(tmp_path / "set_1.ome.tif", "SizeZ=4", data, PLANES[:2])
    content = path.read_bytes()
    with pytest.raises(MissingInputError, match=r"set_2\.ome\.tif is not there, which holds planes 2 to 3 of its 4"):
        open_image(path)
    assert np.array_equal(_pixels(path / "pages"), PLANES[:2])
    tifffile.imwrite(tmp_path / "set_2.ome.tif", PLANES[2:4], compression=compression, metadata=None)
    assert np.array_equal(_pixels(path), PLANES[:4])
    assert path.read_bytes() == content
    whole = (tmp_path / "set_2.ome.tif").read_bytes()
    (tmp_path / "set_2.ome.tif").write_bytes(whole[:270])
    with pytest.raises(StorageError, match="copy or export it again"):
        open_image(path)


def test_an_image_that_lies_in_a_missing_file_is_told(tmp_path: Path) -> None:
    data = '<TiffData IFD="0" PlaneCount="5"><UUID FileName="a.ome.tif">urn:uuid:0</UUID></TiffData>'
    second = (
        '</Pixels></Image><Image ID="Image:1"><Pixels ID="Pixels:1" DimensionOrder="XYCZT" Type="uint8" SizeX="8" '
        'SizeY="6" SizeZ="5" SizeC="1" SizeT="1"><TiffData IFD="0" PlaneCount="5"><UUID FileName="b.ome.tif">'
        "urn:uuid:1</UUID></TiffData>"
    )
    path = _ome(tmp_path / "a.ome.tif", "SizeZ=5", data + second)
    assert notes_about(open_image(path)) == (
        "a.ome.tif is one file of a set, and b.ome.tif is not there: what it holds is left out.",
    )
    assert open_image(path).scale == (1, 0.5, 0.5)
    assert np.array_equal(_pixels(path), PLANES)


@pytest.mark.parametrize("name", ["../other.ome.tif", "/etc/other.ome.tif", "C:\\data\\other.tif", "sub/../../o.tif"])
def test_files_outside_the_folder_are_refused(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    tifffile.imwrite(tmp_path / "other.ome.tif", PLANES[1])
    data = f'<TiffData FirstZ="1" PlaneCount="1"><UUID FileName="{name}">urn:uuid:1</UUID></TiffData>'
    path = _ome(folder / "a.ome.tif", "SizeZ=2", data, PLANES[:1])
    with pytest.raises(InvalidInputError, match="lies outside its folder and is not read"):
        open_image(path)


@pytest.mark.skipif(os.name == "nt", reason="there are no pipes among files there")
def test_a_pipe_is_no_image_and_none_of_a_set(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.tif")
    with pytest.raises(InvalidInputError, match="is a pipe"):
        open_image(tmp_path / "pipe.tif")
    data = '<TiffData FirstZ="1" PlaneCount="1"><UUID FileName="pipe.tif">urn:uuid:1</UUID></TiffData>'
    with pytest.raises(InvalidInputError, match=r"'pipe\.tif' as a part of its image, which is no file"):
        open_image(_ome(tmp_path / "a.ome.tif", "SizeZ=2", data, PLANES[:1]))


@pytest.mark.parametrize(
    ("sizes", "data", "planes", "message"),
    [
        (
            "SizeZ=10000000",
            "<TiffData/>",
            1,
            r"it has 10000000 planes, but 1 of them is in it: copy or export it again",
        ),
        ("SizeT=7", "<TiffData/>", 5, r"7 planes, but 5 of them are in it"),
        ("SizeT=4", '<TiffData FirstT="3" IFD="0" PlaneCount="1"/>', 4, r"planes 0 to 2 missing"),
    ],
)
def test_planes_that_an_ome_xml_names_and_that_are_not_there(
    tmp_path: Path, sizes: str, data: str, planes: int, message: str
) -> None:
    path = _ome(tmp_path / "a.ome.tif", sizes, data, PLANES[:planes])
    with pytest.raises(StorageError, match=message):
        open_image(path)
    with pytest.raises(StorageError, match=r"or read what is there as a\.ome\.tif/pages"):
        open_image(path)
    assert np.array_equal(_pixels(path / "pages"), np.squeeze(PLANES[:planes]))


@pytest.mark.parametrize(
    "sizes",
    ["SizeX=7", "SizeX=900000 SizeY=900000 SizeZ=900000", "SizeZ=x", "SizeZ=0", "SizeZ=-3", "SizeC=2 SizeZ=2 SizeY=7"],
)
def test_an_ome_xml_that_does_not_fit_is_left_out_with_a_word(tmp_path: Path, sizes: str) -> None:
    image = open_image(_ome(tmp_path / "a.ome.tif", sizes))
    (note,) = notes_about(image)
    assert note.startswith("The description of a.ome.tif ")
    assert "its pages are read as they lie, without its axes, pixel size" in note
    assert (image.shape, image.scale, image.axes_guessed) == ((5, 6, 8), (1, 1, 1), True)


def test_an_absurd_number_of_planes_in_one_entry_takes_no_memory(tmp_path: Path) -> None:
    path = _ome(tmp_path / "a.ome.tif", "SizeZ=5", f'<TiffData IFD="0" PlaneCount="{10**13}"/>')
    assert "names more pixels than there can be" in notes_about(open_image(path))[0]
    assert np.array_equal(_pixels(path), PLANES)


def test_an_ome_xml_that_was_cut_off_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, PLANES, ome=True, photometric="minisblack", metadata={"axes": "TYX", "PhysicalSizeX": 0.5})
    content = path.read_bytes()
    end = content.index(b"</OME>")
    path.write_bytes(content[: end - 30] + b" " * 36 + content[end + 6 :])
    assert "(OME-XML) is cut off or damaged" in notes_about(open_image(path))[0]
    assert np.array_equal(_pixels(path), PLANES)


def test_part_of_a_set_that_another_file_describes(tmp_path: Path) -> None:
    head = '<BinaryOnly MetadataFile="set.companion.ome" UUID="urn:uuid:1"/>'
    path = _ome(tmp_path / "a.ome.tif", "SizeZ=5", head=head)
    assert "part of a set that set.companion.ome describes" in notes_about(open_image(path))[0]
    assert np.array_equal(_pixels(path), PLANES)


def test_pages_that_were_added_to_an_ome_tiff_are_told(tmp_path: Path) -> None:
    path = _ome(tmp_path / "a.ome.tif", "SizeZ=3", '<TiffData IFD="0" PlaneCount="3"/>')
    (note,) = notes_about(open_image(path))
    assert "holds 5 pages, 2 more than its description names" in note
    assert "a.ome.tif/pages reads all as a stack" in note
    assert np.array_equal(_pixels(path), PLANES[:3])
    assert np.array_equal(_pixels(path / "pages"), PLANES)


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_imagej_stacks_that_lack_planes_or_have_more(tmp_path: Path, compression: str | None) -> None:
    def write(path: Path, slices: int) -> Path:
        text = f"ImageJ=1.54f\nimages={slices}\nslices={slices}\n"
        with tifffile.TiffWriter(path) as tif:
            for index, plane in enumerate(PLANES):
                described = text if index == 0 else None
                tif.write(plane, description=described, metadata=None, contiguous=False, compression=compression)
        return path

    assert np.array_equal(_pixels(write(tmp_path / "a.tif", 5)), PLANES)
    assert notes_about(open_image(tmp_path / "a.tif")) == ()
    with pytest.raises(StorageError, match="has 8 planes, but 5 of them are in it"):
        open_image(write(tmp_path / "less.tif", 8))
    more = write(tmp_path / "more.tif", 3)
    assert "holds 5 pages, 2 more than its description names" in notes_about(open_image(more))[0]
    assert np.array_equal(_pixels(more), PLANES[:3])
    assert np.array_equal(_pixels(more / "pages"), PLANES)


def test_a_stack_of_ours_that_lacks_planes_is_refused(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as tif:
        tif.write(PLANES[0], compression="zlib", metadata=None, description='{"shape": [5, 6, 8]}')
    with pytest.raises(StorageError, match="has 5 planes, but 1 of them is in it"):
        open_image(tmp_path / "a.tif")


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"bigtiff": True, "byteorder": ">"}])
@pytest.mark.parametrize("odd", [5, 11])
def test_a_page_of_another_size_is_no_page_of_the_stack(tmp_path: Path, options: dict[str, Any], odd: int) -> None:
    path = tmp_path / "a.tif"
    file = {name: options.pop(name) for name in ("bigtiff", "byteorder") if name in options}
    with tifffile.TiffWriter(path, **file) as tif:
        for index in range(12):
            tif.write(PLANES[0, : 4 if index == odd else 6], metadata=None, contiguous=False, **options)
    image = open_image(path)
    assert "holds 2 images (/0 11 × 6 × 8; /1 4 × 8)" in notes_about(image)[0]
    assert image.shape == (11, 6, 8)


def test_what_the_library_finds_odd_is_not_printed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    import logging

    path = _ome(tmp_path / "a.ome.tif", "SizeX=7")
    tifffile_logger = logging.getLogger("tifffile")
    assert any(isinstance(handler, logging.NullHandler) for handler in tifffile_logger.handlers)
    open_levels(path)
    assert capfd.readouterr().err == ""


def test_a_file_is_an_input_by_the_number_of_its_image_too(tmp_path: Path) -> None:
    path = tmp_path / "frames.tif"
    tifffile.imwrite(path, PLANES[0])
    for part in ("0", "pages"):
        with pytest.raises(InvalidInputError, match="is what this is made of, and is never replaced"):
            check_apart(path, [path / part])


def test_a_compression_that_nobody_knows_is_no_damage(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, PLANES[0], compression="zlib", metadata=None)
    with tifffile.TiffFile(path, mode="r+b") as tif:
        tif.pages.first.tags["Compression"].overwrite(34999)
    with pytest.raises(InvalidInputError, match=r"has a compression .*cannot be read here: save it uncompressed"):
        open_image(path)


@pytest.mark.parametrize("content", [b"II", b"II*\0\x08", b"II*\0" + bytes(4), b"MM\0*\0\0\0\x08"])
def test_a_file_that_ends_in_its_first_bytes_is_truncated(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(StorageError, match="copy or export it again"):
        open_image(tmp_path / "a.tif")


@pytest.mark.parametrize("size", ["0", "-0.5", "nan", "1e999", "0,5", "0.5 um"])
def test_a_pixel_size_that_is_none_is_told_and_leaves_no_unit(tmp_path: Path, size: str) -> None:
    image = open_image(_ome(tmp_path / "a.ome.tif", "SizeZ=5", step=size))
    assert f"gives PhysicalSizeX as '{size}', which is no length" in notes_about(image)[0]
    assert (image.scale, image.units) == ((1, 0.5, 1), (None, "micrometer", None))
