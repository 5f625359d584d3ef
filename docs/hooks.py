"""The reference page of the operations, made from their classes whenever the documentation is built."""

import re
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from napari_tessera.cli.operation_options import example, option_name, shown_parameters
from napari_tessera.operations.describe import (
    KINDS,
    OperationDescription,
    ParameterDescription,
    by_group,
    describe_operation,
    plain,
)
from napari_tessera.operations.registry import all_operations

PAGE = "operations.md"

INTRODUCTION = """# Operations

Every operation stands in napari (**Filter & threshold**, and the **Layers** menu), on the command line, in Python and
as a step of a [recipe](recipes.md). This page is made from the operations themselves.

Where a section says that tiles give exactly the result of the whole image, that is tested for every bit. Images of type
bool are worked on as uint8 (0 and 1), float16 as float32. Time points and channels are worked on one by one unless the
section says otherwise. In Python, `nt` is `napari_tessera`; images are arrays, paths, or what `nt.open_image` returns.
"""

MENUS = {"filter": "Filter", "segment": "Segment", "transform": "Transform", "measure": "Measure"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the page to the files of the site."""
    files.append(File.generated(config, PAGE, content=reference()))
    return files


def reference() -> str:
    """Return the whole page as Markdown."""
    parts = [INTRODUCTION]
    for group, members in by_group(all_operations().values()).items():
        parts.append(f"## {group}\n")
        parts += [section(describe_operation(operation)) for operation in members]
    return "\n".join(parts)


def section(told: OperationDescription) -> str:
    """Return what there is to say about one operation."""
    first, *further = told.inputs
    lines = [f"### {told.title} {{#{told.name}}}", "", f"{told.summary}.", "", markdown(told.text), ""]
    if told.parameters:
        lines += ["| parameter | values | default | meaning |", "|---|---|---|---|"]
        lines += [table_row(parameter) for parameter in told.parameters]
        lines.append("")
    lines.append(f"- **Works on** {KINDS[first.kind]}: {first.help}")
    for entry in further:
        optional = ", may be left out" if entry.optional else ""
        lines.append(f"- **With** `{entry.name}` ({KINDS[entry.kind]}{optional}): {entry.help}")
    lines.append(f"- **Gives** {KINDS[told.output]}; **in napari** Layers ▸ {MENUS[told.menu]}")
    lines.append(f"- **{told.family.capitalize()}.** {told.family_text}")
    if told.bound:
        lines.append(f"- **On another type of processor:** {told.bound}")
    return "\n".join([*lines, "", "```bash", example(told), "```", "", "```python", python_line(told), "```", ""])


def markdown(text: str) -> str:
    """Return the text of a docstring as Markdown: sections of numpydoc under bold words, not under headings."""
    text = re.sub(r"^(.+)\n-{3,}$", r"**\1**\n", text, flags=re.MULTILINE)
    return re.sub(r"^\.\. \[(\w+)\] ", r"[\1] ", text, flags=re.MULTILINE)


def table_row(parameter: ParameterDescription) -> str:
    """Return the line of a parameter in the table."""
    kinds = f"list of {parameter.items}s" if parameter.items in ("integer", "number") else parameter.kind
    values = [] if parameter.kind == "choice" else [kinds]
    values += [parameter.allowed, parameter.unit]
    default = "" if parameter.required else f"`{parameter.default_text}`"
    cells = [f"`{option_name(parameter)}`", "; ".join(filter(None, values)), default, parameter.help]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def python_line(told: OperationDescription) -> str:
    """Return the call that does what the command line beside it does."""
    settings = ", ".join(f"{entry.name}={sample_value(entry)!r}" for entry in shown_parameters(told))
    others = "".join(f", {entry.name}={entry.name}" for entry in told.inputs[1:] if not entry.optional)
    return f"result = nt.apply(nt.operations.{told.class_name}({settings}), {told.inputs[0].name}{others})"


def sample_value(parameter: ParameterDescription) -> Any:
    """Return the default, or some value of a parameter without one."""
    if not parameter.required:
        return plain(parameter.default)
    return {"integer": 1, "number": 1.0, "list": [1, 2], "boolean": True}.get(
        parameter.kind, next(iter(parameter.choices), "…")
    )
