"""What has been compiled ahead is noted, and the note holds as long as the compiled code is there."""

import json
import os
import subprocess
import sys

import pytest

from napari_tessera.core.jobs import CancelToken
from napari_tessera.operations.registry import all_operations
from napari_tessera.pipeline.compiling import compiling_job, not_compiled
from napari_tessera.pipeline.dispatch import run_request
from napari_tessera.pipeline.requests import CompileRequest, parse_request


def compile_ahead(request):
    return list(run_request(parse_request.validate_python(request.model_dump(mode="json")), CancelToken()))


@pytest.fixture
def otsu(tmp_path):
    return CompileRequest(operation="otsu", dtype="uint8", notes=tmp_path / "notes")


def the_note(request):
    (note,) = request.notes.rglob("*.json")
    return note


def test_what_is_done_is_noted_for_such_images_only(otsu):
    assert not_compiled([otsu]) == [otsu]
    compile_ahead(otsu)
    others = [
        otsu.model_copy(update=update) for update in ({"dtype": "int32"}, {"dimensions": 3}, {"operation": "mean"})
    ]
    assert not_compiled([otsu, *others]) == others
    places = json.loads(the_note(otsu).read_text())
    assert "histogram_kernels" in {module for _, module in places}


def test_a_note_does_not_outlive_the_compiled_code(otsu, tmp_path):
    compile_ahead(otsu)
    note = the_note(otsu)
    places = json.loads(note.read_text())
    note.write_text(json.dumps([[str(tmp_path / "emptied"), module] for _, module in places]))
    assert not_compiled([otsu]) == [otsu]


@pytest.mark.parametrize("content", ["", "[", "7", "[7]", "null", '{"a": 1}'])
def test_a_damaged_note_is_none(otsu, content):
    compile_ahead(otsu)
    the_note(otsu).write_text(content)
    assert not_compiled([otsu]) == [otsu]


def test_a_note_of_another_state_of_the_program_does_not_count(otsu):
    compile_ahead(otsu)
    note = the_note(otsu)
    note.parent.rename(note.parent.with_name("other"))
    assert not_compiled([otsu]) == [otsu]


def test_where_nothing_can_be_noted_it_is_done_all_the_same(otsu):
    otsu.notes.write_text("a file in place of the folder")
    assert [type(event).__name__ for event in compile_ahead(otsu)] == ["Progress", "Result"]
    assert not_compiled([otsu]) == [otsu]


def test_an_operation_that_refuses_such_images_is_done_with(tmp_path):
    stains = CompileRequest(operation="separate_stains", dtype="uint8", notes=tmp_path)
    assert stains.operation in all_operations()
    assert [type(event).__name__ for event in compiling_job(stains, CancelToken())] == ["Progress", "Result"]
    assert not not_compiled([stains])


AFTERWARDS = """
import sys
import numpy as np
from napari_tessera.operations.compiling import noticing_compilation
from napari_tessera.pipeline.api import apply
from napari_tessera.operations.registry import build_operation
compiled = []
image = np.random.default_rng(0).integers(0, 200, (90, 70)).astype(np.uint8)
with noticing_compilation(lambda: compiled.append(1)):
    apply(build_operation("otsu", {}), image)
print(len(compiled))
"""


@pytest.mark.slow
def test_a_later_process_compiles_nothing(otsu, tmp_path):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}

    def compilations():
        program = [sys.executable, "-c", AFTERWARDS]
        return int(subprocess.run(program, env=environment, capture_output=True, text=True, check=True).stdout)

    ahead = (
        "import sys; from napari_tessera.pipeline.compiling import compiling_job; "
        "from napari_tessera.pipeline.requests import CompileRequest; "
        "from napari_tessera.core.jobs import CancelToken; "
        "list(compiling_job(CompileRequest.model_validate_json(sys.argv[1]), CancelToken()))"
    )
    subprocess.run([sys.executable, "-c", ahead, otsu.model_dump_json()], env=environment, check=True)
    assert list((tmp_path / "cache").rglob("*.nbi"))
    assert compilations() == 0
