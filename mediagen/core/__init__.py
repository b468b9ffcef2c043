"""Arithmetic of the plane, seeds, configuration and provenance. No torch and no I/O in here."""
