"""Canvases taken home: tiled TIFFs, Deep Zoom folders, PNGs and JPEGs, and clips of a camera that flies over them."""

from mediagen.export.save import export as export
from mediagen.export.streams import stream_picture as stream_picture
from mediagen.export.streams import stream_png as stream_png
from mediagen.export.streams import write_picture as write_picture
