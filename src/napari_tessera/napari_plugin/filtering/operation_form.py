"""The form of an operation: one control per parameter; left untouched, it gives exactly the defaults."""

from napari_tessera.napari_plugin.forms.config_form import ConfigForm
from napari_tessera.operations.base import Operation
from napari_tessera.operations.describe import own_first


class OperationForm(ConfigForm):
    """Shows the parameters of `operation`, in the order in which the class declares them, those of its bases last."""

    def __init__(self, operation: type[Operation]) -> None:
        super().__init__({name: operation.model_fields[name] for name in own_first(operation)})
        self.operation = operation

    def build(self) -> Operation:
        """Return the operation with the parameters that are set.

        Raises
        ------
        InvalidInputError
            If a value, or the values together, are not allowed.
        """
        return self.operation.parse(self.values())
