"""What can go wrong on a user's side: each error is one clear line (what, where, what to do) and carries its exit code."""

from __future__ import annotations


class MediagenError(ValueError):
    """Base of everything a user can cause; the command line prints its message alone and exits with `exit_code`."""

    exit_code = 1


class UsageError(MediagenError):
    """The request makes no sense as it was said: exit code 2."""

    exit_code = 2


class StoreError(MediagenError):
    """A canvas cannot be read or written where it was asked to be."""


class CheckpointError(MediagenError):
    """A checkpoint is truncated, of another model, oversized, or no checkpoint at all."""


class DataError(MediagenError):
    """A folder of pictures or videos holds nothing that can be used."""


class TrainingError(MediagenError):
    """A training cannot go on: its numbers are no longer finite, or its folder is taken."""


class WorkerError(MediagenError):
    """A scheduler or worker does not answer, or differs from this installation."""
