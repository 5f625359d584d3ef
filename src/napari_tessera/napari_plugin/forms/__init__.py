"""Controls and forms that the widgets are made of."""
