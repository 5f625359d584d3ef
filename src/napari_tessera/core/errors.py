"""Errors that a person reads: each message is one sentence that names the remedy.

Every class is also the builtin error it resembles, so ``except ValueError`` keeps working for callers who know nothing
of this package.
"""


class TesseraError(Exception):
    """Base of all errors raised on purpose; its message is fit to be shown as it is."""


class InvalidInputError(TesseraError, ValueError):
    """A value, an array or an option that cannot be used."""


class NoContrastError(InvalidInputError):
    """An image, or one frame of it, in which too few intensities differ for anything to be told apart."""


class AnnotationError(InvalidInputError):
    """An annotation that nothing can be learnt from."""


class ModelError(TesseraError, ValueError):
    """A model folder that is damaged, of a newer schema, not ours, or not fit for the image."""


class MissingInputError(TesseraError, FileNotFoundError):
    """A file or folder that is not there."""


class OutputExistsError(TesseraError, FileExistsError):
    """An output that would be overwritten without having been asked to."""


class StorageError(TesseraError, OSError):
    """A disk that is full, a folder that cannot be written, a file that cannot be read."""


class OutOfMemoryError(TesseraError, MemoryError):
    """Work that does not fit into memory even in its smallest portion."""


class WorkerDiedError(TesseraError, RuntimeError):
    """A worker process that ended without saying why."""


class JobCancelledError(TesseraError):
    """Raised inside a job when its cancel token is set; it is an outcome, not a fault."""
