"""Sentences about names in files and on the command line, as a person reads them who sees titles and labels."""

import re

from napari_tessera.napari_plugin.forms.controls import words
from napari_tessera.operations.registry import all_operations

_OPERATION = re.compile(r"\b(operations? |with |use |and |or )'([a-z][a-z0-9_]*)'")
_INPUT = re.compile(r"\b([Tt]he input )'([a-z][a-z0-9_]*)'")
_COMMAND_LINE = re.compile(r" \(--[a-z-]+ on the command line\)")
_AS = re.compile(r"\bas '([a-z][a-z0-9_]*)'")
_SETTING = re.compile(r"^Setting ([a-z][a-z0-9_]*) = ")


def in_words(sentence: str) -> str:
    """Return `sentence` with operations, inputs and parameters called as they are in the window.

    ``the operation 'replace_invalid'`` becomes ``the operation 'Replace invalid pixels'``. Remedies of the command line
    that stand in brackets are left out.
    """
    operations = all_operations()

    def titled(found: re.Match[str]) -> str:
        operation = operations.get(found[2])
        return found[0] if operation is None else f"{found[1]}'{operation.title}'"

    sentence = _OPERATION.sub(titled, sentence)
    sentence = _AS.sub(lambda found: f"as '{words(found[1])}'", _COMMAND_LINE.sub("", sentence))
    sentence = _INPUT.sub(lambda found: f"{found[1]}'{words(found[2])}'", sentence)
    return _SETTING.sub(lambda found: f"{words(found[1])} = ", sentence)
