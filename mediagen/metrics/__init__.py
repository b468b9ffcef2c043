"""Measures of how close made pictures are to real ones."""
