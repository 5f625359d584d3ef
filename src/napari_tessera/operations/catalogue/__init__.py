"""The operations, a module per group. Computation lives beside this package: these modules import nothing heavy."""
