import inspect

import pytest

from napari_tessera.core import errors

BUILTIN = {
    errors.InvalidInputError: ValueError,
    errors.NoContrastError: ValueError,
    errors.AnnotationError: ValueError,
    errors.ModelError: ValueError,
    errors.MissingInputError: FileNotFoundError,
    errors.OutputExistsError: FileExistsError,
    errors.StorageError: OSError,
    errors.OutOfMemoryError: MemoryError,
    errors.WorkerDiedError: RuntimeError,
}


@pytest.mark.parametrize(("ours", "builtin"), BUILTIN.items(), ids=lambda kind: kind.__name__)
def test_our_errors_are_builtin_errors_too(ours: type[Exception], builtin: type[Exception]) -> None:
    with pytest.raises(builtin, match="the remedy"):
        raise ours("the remedy")
    assert issubclass(ours, errors.TesseraError)


def test_every_error_is_covered() -> None:
    ours = {
        kind
        for _, kind in inspect.getmembers(errors, inspect.isclass)
        if kind not in (errors.TesseraError, errors.JobCancelledError)  # a cancelled job is an outcome, not a fault
    }
    assert ours == set(BUILTIN)
