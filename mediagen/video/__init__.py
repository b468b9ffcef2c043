"""Clips, as long as one likes: frame after frame out of a model, into a file or to whoever iterates over them."""
