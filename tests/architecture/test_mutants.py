"""The table of single faults (`make mutants`) fits the package: one that cannot be put in would never be noticed."""

import importlib.util
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "napari_tessera"


def load_mutants() -> ModuleType:
    spec = importlib.util.spec_from_file_location("mutants", ROOT / ".ci" / "mutants.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["mutants"] = module
    spec.loader.exec_module(module)
    return module


mutants = load_mutants()
FAULTS = mutants.read_faults()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_has_one_place_and_tests(fault: Any) -> None:
    right = (PACKAGE / fault.file).read_text(encoding="utf-8")
    wrong = fault.put_into(right)
    assert wrong != right
    compile(wrong, fault.file, "exec")
    assert fault.tests
    assert all((ROOT / test.split("::")[0]).exists() for test in fault.tests.split())


def test_every_package_has_faults_and_no_name_stands_twice() -> None:
    assert len(FAULTS) >= 60
    packages = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}
    assert {fault.file.split("/")[0] for fault in FAULTS} == packages
    assert max(Counter(fault.name for fault in FAULTS).values()) == 1


def test_a_place_that_is_not_there_is_told() -> None:
    fault = mutants.Fault("nothing", "core/units.py", "no such text", "", "tests/core")
    with pytest.raises(ValueError, match="occurs 0 times"):
        fault.put_into("some text")
