"""The checkpoints that ship with the package, with their cards. Data only."""
