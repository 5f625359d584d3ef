"""Whatever stands in a YAML file, reading it ends soon, and either gives plain values or says what is wrong."""

import os

import pytest

from napari_tessera.config.base import parse_assignments
from napari_tessera.config.files import read_yaml
from napari_tessera.config.training import TrainingConfig
from napari_tessera.config.yaml_text import MOST_CHARACTERS, YamlError, dump_yaml, parse_yaml
from napari_tessera.core.errors import InvalidInputError

MERGED = "l0: &l0 {a: 1}\n" + "".join(f"l{n}: &l{n} {{<<: [*l{n - 1}, *l{n - 1}]}}\n" for n in range(1, 40))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (MERGED, "an alias in line 2"),
        ("a: &a [1, 2]\nb: *a\n", "an alias in line 2"),
        ("a:\n  <<: {b: 1}\n", "a merge key in line 2"),
        ("[" * 3000 + "]" * 3000, "more than 50 levels deep in line 1"),
        ("".join(f"{' ' * n}a:\n" for n in range(200)), "more than 50 levels deep in line 51"),
        ("size: " + "7" * 5000, "a number of 5000 digits in line 1"),
        ("size: 0." + "7" * 5000, "a number of 5002 digits"),
        ("size: 0x" + "f" * 5000, "a number of 5002 digits"),
        ("? [1, 2]\n: 3\n", "a key that is neither text nor a whole number in line 1"),
        ("a: 1\nyes: 2\n", "a key that is neither text nor a whole number in line 2"),
        ("1.5: 2\n", "a key that is neither"),
        (f"{2**70}: 2\n", "a number as a key that is too large"),
        ("a: 1\nb: 2\na: 3\n", "the key 'a' for the second time in line 3"),
        ("when: 2001-99-99\n", "a value in it cannot be understood"),
        ("a: !!python/object/apply:os.getcwd []\n", "could not determine a constructor"),
        ("a: \x01\n", "it cannot be understood|control characters"),
        ("a: [1\n", "line 2"),
        ("a" * (MOST_CHARACTERS + 1), "longer than 4 MB"),
    ],
)
def test_what_takes_long_or_means_nothing_is_refused(text: str, says: str) -> None:
    with pytest.raises(YamlError, match=says):
        parse_yaml(text)


def test_plain_values_come_back() -> None:
    values = {"a": [1, 2.5, True, None], "3": {5: "x", "y": "é\udcff"}, "n": 10**90, "when": "2001-02-03"}
    assert parse_yaml(dump_yaml(values).decode()) == values


def test_what_stands_in_two_places_is_written_twice() -> None:
    shared = [1, 2]
    assert parse_yaml(dump_yaml({"a": shared, "b": shared}).decode()) == {"a": shared, "b": shared}


def test_a_key_that_is_no_name_is_named() -> None:
    for fields, name in (({7: 1}, "'7'"), ({"network": {7: 1}}, "'network.7'")):
        with pytest.raises(InvalidInputError, match=f"no setting {name}"):
            TrainingConfig.parse({"annotation": "dense", **fields})  # type: ignore[dict-item]
    assert TrainingConfig.parse({"annotation": "dense", "class_names": {7: "cell"}}).data.class_names == {7: "cell"}


def test_values_on_the_command_line_are_read_with_it() -> None:
    with pytest.raises(InvalidInputError, match="cannot be read"):
        parse_assignments(("max_steps=" + "9" * 5000,))


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such files")
@pytest.mark.timeout(60)
def test_what_is_no_ordinary_file_is_not_waited_for(tmp_path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "endless.yaml").symlink_to("/dev/zero")
    for name in ("pipe.yaml", "endless.yaml"):
        with pytest.raises(InvalidInputError, match="no ordinary file"):
            read_yaml(tmp_path / name)


def test_a_file_of_any_size_is_read_up_to_the_limit(tmp_path) -> None:
    path = tmp_path / "large.yaml"
    with path.open("wb") as file:
        file.truncate(2**36)
    with pytest.raises(InvalidInputError, match="longer than 4 MB"):
        read_yaml(path)
