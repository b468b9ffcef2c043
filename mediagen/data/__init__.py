"""Folders of pictures and videos, as tensors."""
