"""Labels: components, morphology, splitting."""
