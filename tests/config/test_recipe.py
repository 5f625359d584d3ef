from pathlib import Path

import pytest
import yaml

from napari_tessera.config.migrations import STEPS
from napari_tessera.config.recipe import ArrayIdentity, InputIdentity, Recipe, RecipeStep
from napari_tessera.core.errors import InvalidInputError

GOLDEN = Path(__file__).parent / "golden"
IMAGE = InputIdentity(name="cells", axes="yx", shape=(8, 9), dtype="uint8")


def step(name: str, operation: str = "median", **inputs: str) -> RecipeStep:
    return RecipeStep(id=name, operation=operation, inputs=inputs)


def recipe(*steps: RecipeStep, **outputs: str) -> Recipe:
    return Recipe(inputs={"image": IMAGE}, steps=steps, outputs=outputs)


def test_files_of_schema_version_1_keep_their_meaning(tmp_path: Path) -> None:
    """Do not regenerate this file once a release has written such: it stands for those that users have."""
    written = yaml.safe_load((GOLDEN / "recipe-v1.yaml").read_text(encoding="utf-8"))
    loaded = Recipe.load(GOLDEN / "recipe-v1.yaml")
    assert {"kind": "recipe", **loaded.model_dump(mode="json")} == written
    loaded.save(tmp_path / "again.yaml")
    assert yaml.safe_load((tmp_path / "again.yaml").read_text(encoding="utf-8")) == written
    assert Recipe.load(tmp_path / "again.yaml") == loaded
    assert isinstance(loaded.steps[1].parameters["noise_to_signal"], float)


def test_every_older_version_has_a_migration() -> None:
    assert all((Recipe.kind, version) in STEPS for version in range(1, Recipe.current_version))
    assert Recipe.model_fields["schema_version"].default == Recipe.current_version
    assert {f"recipe-v{version}.yaml" for version in range(1, Recipe.current_version + 1)} == {
        path.name for path in GOLDEN.glob("recipe-v*.yaml")
    }


def test_a_newer_file_is_refused(tmp_path: Path) -> None:
    text = (GOLDEN / "recipe-v1.yaml").read_text(encoding="utf-8").replace("schema_version: 1", "schema_version: 99")
    (tmp_path / "newer.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(InvalidInputError, match="update napari-tessera"):
        Recipe.load(tmp_path / "newer.yaml")


def test_steps_are_put_in_an_order_in_which_they_can_be_done() -> None:
    made = recipe(
        step("d", image="c"),
        step("c", image="a", second="b"),
        step("b", image="a"),
        step("a", image="image"),
        step("unused", image="a"),
        result="d",
        other="b",
    )
    assert [entry.id for entry in made.ordered()] == ["a", "b", "c", "d"]
    assert made.used() == {"a", "b", "c", "d", "image"}


def test_a_long_chain_is_no_problem() -> None:
    steps = [step(f"s{i}", image=f"s{i - 1}" if i else "image") for i in range(3000)]
    assert len(recipe(*reversed(steps), result="s2999").ordered()) == 3000


def test_what_other_outputs_do_not_need_is_left_out() -> None:
    seeds = ArrayIdentity(sha256="0" * 64, shape=(1, 2), dtype="float64")
    made = Recipe(
        inputs={"image": IMAGE, "psf": IMAGE},
        arrays={"seeds": seeds},
        steps=(step("a", image="image"), step("b", image="a", seeds="seeds"), step("c", image="a", psf="psf")),
        outputs={"grown": "b", "sharp": "c"},
    )
    smaller = made.with_outputs({"sharp": "c"})
    assert list(smaller.inputs) == ["image", "psf"]
    assert smaller.arrays == {}
    assert [entry.id for entry in smaller.steps] == ["a", "c"]
    assert list(made.with_outputs({"grown": "b"}).inputs) == ["image"]


@pytest.mark.parametrize(
    ("steps", "outputs", "says"),
    [
        ((step("a", image="b"), step("b", image="c"), step("c", image="a")), {"o": "a"}, "circle: a → b → c → a"),
        ((step("a", image="a"),), {"o": "a"}, "circle: a → a"),
        ((step("b", image="image"), step("a", image="a")), {"o": "b"}, "circle"),
        ((step("a", image="img"),), {"o": "a"}, "takes 'img' as its input 'image'.*use one of image"),
        ((step("a", image="image"),), {"o": "b"}, "The output 'o' is 'b'.*use one of a"),
        ((step("a", image="image"), step("a", image="image")), {"o": "a"}, "called 'a': give each a name"),
        ((step("image", image="image"),), {"o": "image"}, "called 'image'"),
        ((), {"o": "a"}, "steps"),
        ((step("a", image="image"),), {}, "outputs"),
        ((step("a", image="image"),), {"../o": "a"}, "outputs"),
    ],
)
def test_graphs_that_are_none_are_refused(steps, outputs, says) -> None:
    with pytest.raises(InvalidInputError, match=says):
        Recipe(inputs={"image": IMAGE}, steps=steps, outputs=outputs)


@pytest.mark.parametrize("name", ["", "a b", "a/b", "..", "-a", "a.b"])
def test_names_that_no_file_can_have_are_refused(name: str) -> None:
    with pytest.raises(InvalidInputError):
        step(name, image="image")


def test_arrays_are_called_by_a_hash() -> None:
    with pytest.raises(InvalidInputError, match="sha256"):
        ArrayIdentity(sha256="../../etc/passwd", shape=(1,), dtype="uint8")


FIELDS = {
    "inputs": {"image": {"axes": "yx", "shape": [8, 9], "dtype": "uint8"}},
    "steps": [{"id": "a", "operation": "median", "inputs": {"image": "image"}}],
    "outputs": {"o": "a"},
}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"version": "1"}, "Setting steps (entry 1).version = '1': a number is needed, without quotes."),
        ({"version": True}, "Setting steps (entry 1).version = true: a number is needed, without quotes."),
        ({"version": "x"}, "Setting steps (entry 1).version = 'x': a whole number is needed."),
        ({"version": 0}, "Setting steps (entry 1).version = 0: it must be at least 1."),
        ({"id": "a b"}, "Setting steps (entry 1).id = 'a b': a name has letters, digits, _ and - (not first), "),
        ({"inputs": ["image"]}, "Setting steps (entry 1).inputs = ['image']: settings (name: value) are needed."),
        ({"operation": 3}, "Setting steps (entry 1).operation = 3: a text is needed."),
    ],
)
def test_a_wrong_field_of_a_step_is_told_in_plain_words(change, says) -> None:
    with pytest.raises(InvalidInputError) as caught:
        Recipe.parse({**FIELDS, "steps": [{**FIELDS["steps"][0], **change}]})
    assert str(caught.value).startswith(says)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"steps": []}, "Setting steps = []: at least 1 entry needed, not 0."),
        ({"steps": "median"}, "Setting steps = 'median': a list is needed."),
        ({"outputs": {}}, "Setting outputs = {}: at least 1 entry needed, not 0."),
        ({"schema_version": True}, "Setting schema_version = true: a number is needed, without quotes."),
        ({"versions": {"numpy": 2}}, "Setting versions.numpy = 2: a text is needed."),
        ({"steps": "x" * 500}, f"Setting steps = '{'x' * 79}…: a list is needed."),
    ],
)
def test_a_wrong_field_is_told_in_plain_words(change, says) -> None:
    with pytest.raises(InvalidInputError) as caught:
        Recipe.parse({**FIELDS, **change})
    assert str(caught.value) == says


def test_numbers_may_be_written_with_or_without_a_point() -> None:
    steps = [{**FIELDS["steps"][0], "version": 1.0, "parameters": {"sigma": 2, "size": 3.0}}]
    assert Recipe.parse({**FIELDS, "steps": steps}).steps[0].version == 1
