"""What the page may change of a plane, as it travels: `?scene=` holds base64url of compact JSON. A stranger's data.

{"seed": n, "centres": [{"x", "y", "seed"}, ...] or null, "blend": px, "style_every": px,
 "resample": [{"x", "y", "width", "height", "seed"}, ...]}

Numbers beyond 2**53 travel as decimal strings. Without centres there is a style every `style_every` pixels (0: one).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import math
from dataclasses import dataclass
from typing import Any

from mediagen.canvas import styles as style_maps
from mediagen.canvas.cache import Scene
from mediagen.canvas.setup import MARGIN, resampled, styles_of
from mediagen.canvas.styles import BLEND, CentreStyle, StretchStyle
from mediagen.core.geometry import PLANE_LIMIT
from mediagen.core.resample import Resample
from mediagen.core.styles import Centre
from mediagen.errors import UsageError
from mediagen.models._spec import CanvasModel
from mediagen.view.answers import plain

LONGEST = 12 * 2**10
"""Characters of `?scene=`."""

MOST = 64
"""Centres, and rectangles."""

FARTHEST = PLANE_LIMIT - MARGIN
WIDEST = 2**30
_KEYS = {"seed", "centres", "blend", "style_every", "resample"}


@dataclass(frozen=True, kw_only=True)
class Look:
    """A scene, and a short name that is another one for every other scene."""

    scene: Scene
    name: str

    @classmethod
    def of(cls, scene: Scene) -> Look:
        parts = [scene.seed, scene.structure_seed, style_maps.to_json(scene.styles), repr(scene.resample)]
        return cls(scene=scene, name=hashlib.blake2b(json.dumps(parts).encode(), digest_size=8).hexdigest())


def to_page(scene: Scene) -> dict[str, Any]:
    """The scene object of a scene."""
    styles = scene.styles
    centres = None
    every, blend = 0, 0
    if isinstance(styles, CentreStyle):
        blend = styles.blend
        centres = [
            {"x": plain(trim(point.x)), "y": plain(trim(point.y)), "seed": plain(point.seed)} for point in styles.points
        ]
    elif isinstance(styles, StretchStyle):
        every, blend = styles.every, styles.blend
    anew = [{key: plain(getattr(one, key)) for key in ("x", "y", "width", "height", "seed")} for one in scene.resample]
    return {"seed": plain(scene.seed), "centres": centres, "blend": blend, "style_every": every, "resample": anew}


def from_page(text: str, defaults: Scene, model: CanvasModel) -> Scene:
    """The scene that `?scene=` asks for; what the page cannot change is that of the defaults. Raises UsageError."""
    value = _object("scene", unpack(text), _KEYS)
    seed = _whole("seed", value["seed"], 2**63)
    every = _whole("style_every", value["style_every"], WIDEST, least=0)
    blend = _whole("blend", value["blend"], WIDEST, least=0)
    textures = texture_seed(defaults)
    if value["centres"] is None:
        styles: Any = styles_of(seed, every, min(blend, every), None, textures)
    else:
        points = [_centre(centre, textures) for centre in _list("centres", value["centres"])]
        styles = CentreStyle(tuple(points), blend or BLEND)
    anew = tuple(_rectangle(one) for one in _list("resample", value["resample"]))
    return Scene(seed=seed, styles=styles, structure_seed=defaults.structure_seed, resample=resampled(model, anew))


def unpack(text: str) -> Any:
    """The JSON of `?scene=`. Raises UsageError."""
    if len(text) > LONGEST:
        raise UsageError(f"a scene of {len(text)} characters; at most {LONGEST} are taken")
    try:
        data = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
        return json.loads(data, parse_constant=_refuse)
    except (binascii.Error, ValueError, RecursionError):
        raise UsageError("the scene is not base64url of JSON") from None


def _refuse(word: str) -> Any:
    raise ValueError(word)


def texture_seed(scene: Scene) -> int | None:
    """The seed of the textures where they are exchanged."""
    styles = scene.styles
    return styles.points[0].texture_seed if isinstance(styles, CentreStyle) else getattr(styles, "texture_seed", None)


def _object(name: str, value: Any, keys: set[str]) -> dict[str, Any]:
    if not isinstance(value, dict) or value.keys() != keys:
        raise UsageError(f"{name} must have exactly {', '.join(sorted(keys))}")
    return value


def _list(name: str, value: Any) -> list[Any]:
    if not isinstance(value, list) or len(value) > MOST:
        raise UsageError(f"{name} must be a list of at most {MOST}")
    return value


def _whole(name: str, value: Any, most: int, least: int | None = None) -> int:
    """A JSON integer, or one as a decimal string, of at most `most` either way. Raises UsageError."""
    if isinstance(value, str) and len(value) <= 20 and value.removeprefix("-").isdecimal() and value.isascii():
        value = int(value)
    if type(value) is not int or abs(value) > most or (least is not None and value < least):
        raise UsageError(f"{name} must be a whole number{'' if least is None else f', at least {least}'}")
    return value


def _centre(value: Any, textures: int | None) -> Centre:
    fields = _object("a centre", value, {"x", "y", "seed"})
    x, y = (_position(name, fields[name]) for name in ("x", "y"))
    return Centre(x, y, _whole("seed", fields["seed"], 2**63), texture_seed=textures)


def _position(name: str, value: Any) -> float:
    if type(value) is float and math.isfinite(value) and abs(value) <= FARTHEST:
        return value
    return float(_whole(name, value, FARTHEST))


def _rectangle(value: Any) -> Resample:
    fields = _object("a rectangle", value, {"x", "y", "width", "height", "seed"})
    x, y = (_whole(name, fields[name], FARTHEST - WIDEST) for name in ("x", "y"))
    width, height = (_whole(name, fields[name], WIDEST, least=1) for name in ("width", "height"))
    return Resample(x, y, width, height, _whole("seed", fields["seed"], 2**63))


def trim(number: float) -> int | float:
    """A whole number as one."""
    return int(number) if number == int(number) else number
