"""Pure loss functions: tensors in, a scalar out. Nothing here knows a model."""
