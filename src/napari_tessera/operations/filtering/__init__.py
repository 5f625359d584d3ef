"""Linear and nonlinear filters, and what lies under the objects."""
