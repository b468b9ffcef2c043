"""Arrays <-> files: the OME-Zarr store, its pyramid, its overview picture. Numpy arrays; no torch, no models."""
