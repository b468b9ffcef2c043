"""Running units of work: `inline` in this process, `cluster` on dask workers. Knows nothing of models or files."""
