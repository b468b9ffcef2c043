"""One training loop for every model: `train`."""

from mediagen.train.loop import train
from mediagen.train.session import Report

__all__ = ["Report", "train"]
