"""A network that makes the weights of one picture's own generator out of the picture (Meta Internal Learning).

In training, generators of several pictures run side by side, each with its own weights (`forward`); for use, one picture's
becomes a network that stands alone (`of_picture`), a PyramidGenerator whose stages are the scales here.
Layout: B pictures, C channels, H, W; E embedding; scale 0 is the coarsest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mediagen.core.geometry import Field, Interval
from mediagen.errors import UsageError
from mediagen.nn.emitted import TANH_GAIN, Projection, Weights, convolve_all
from mediagen.nn.padding_free import box, fit
from mediagen.nn.pyramid_generator import PyramidGenerator
from mediagen.nn.resnet import embedder, seen_whole
from mediagen.nn.single_image import Axis, Box, Plan, axes_of, shrunk, with_rows


class HyperGenerator(nn.Module):
    """f_g: the embedder and, for each scale, the heads of its generator. Amplitudes are negative for scales to come."""

    amplitudes: Tensor
    z0: Tensor
    instead = (
        "it makes generators, one of a picture: `mediagen imagine RUN photo.jpg`, then paint with what that leaves"
    )

    def __init__(self, config: Any):
        super().__init__()
        self.config = config
        self.embed = embedder(config)
        self.heads = nn.ModuleList(
            Projection(config.embedding, [*config.widths, 3], [*config.gains, TANH_GAIN]) for _ in range(config.scales)
        )
        self.register_buffer("amplitudes", torch.full((config.scales,), -1.0))
        self.home = self.plan(self.whole(config.scales - 1), config.scales - 1).known(0)
        self.register_buffer("z0", torch.zeros(3, len(self.home[0]), len(self.home[1])))

    @property
    def scale(self) -> int:
        """The finest scale that training has begun; -1 before all training."""
        return int((self.amplitudes >= 0).sum()) - 1

    def axes(self) -> tuple[Axis, Axis]:
        return axes_of(self.config.sizes, self.config.unbounded, linear=self.config.upsampling == "linear")

    def whole(self, scale: int) -> Box:
        height, width = self.config.sizes[scale]
        return Interval(0, height), Interval(0, width)

    def plan(self, out: Box, scale: int) -> Plan:
        return Plan.of(self.axes(), scale, out, reach=5, tail=0)

    def noise(self, plan: Plan) -> list[Field]:
        """The noise of every scale."""
        where = [plan.taken(n) if n and self.config.noise_beyond else plan.known(n) for n in range(len(plan))]
        return [Field(f"z_{n or 'l'}", 3, box(at)) for n, at in enumerate(where)]

    def embedded(self, pictures: Tensor) -> Tensor:
        """Embeddings (B, E) of pictures (B, 3, H, W)."""
        found: Tensor = self.embed(seen_whole(pictures, self.config.view))
        return found

    def forward(self, weights: Sequence[Weights], z: Sequence[Tensor], plan: Plan, trained: int = 0) -> list[Tensor]:
        """Every scale's picture (B, 3, h, w) on `plan.made`; scales before `trained` get no gradient.

        z[n] (B, 3, h, w) is the noise of scale n; scales that it does not reach get none.
        """
        config, amplitudes, learning = self.config, self.amplitudes.tolist(), torch.is_grad_enabled()
        made: list[Tensor] = []
        for n in range(len(plan)):
            known, taken = plan.known(n), plan.taken(n)
            where = taken if n and config.noise_beyond else known
            with torch.set_grad_enabled(learning and n >= trained):
                x = z[0]
                if n:
                    # Pictures cross scales in float32, whatever the convolutions compute in.
                    with torch.autocast(x.device.type, enabled=False):
                        below = plan.up(made[-1].float(), n)
                    x = fit(below, known, where)
                    x = x + amplitudes[n] * z[n] if n < len(z) else x
                x = fit(with_rows(x, config.waves, where[0], plan.axes[0].sizes[n]), where, taken)
                x = torch.tanh(convolve_all(x, weights[n], config.slope).float())
                made.append(x + fit(below, known, plan.made(n)) if n else x)
        return made

    def errors(self, scale: int, pictures: Tensor, weights: Sequence[Weights], at: Box | None = None) -> list[Tensor]:
        """Mean squared errors of each scale's I^0 (Eq. 5), made of z_1^0 alone, where the window `at` of `scale` reads it.

        Scales before `scale` get a gradient if the errors of all are to be accumulated (Eq. 15).
        """
        plan, found = self.plan(at or self.whole(scale), scale), []
        z0 = fit(self.z0.expand(len(pictures), -1, -1, -1), self.home, plan.known(0))
        for n, x in enumerate(self(weights, [z0], plan, 0 if self.config.accumulate else scale)):
            there = self.whole(n)
            rows, columns = (have.meet(span) for have, span in zip(plan.made(n), there, strict=True))
            real = fit(shrunk(pictures, self.axes(), n), there, (rows, columns))
            found.append((fit(x.float(), plan.made(n), (rows, columns)) - real).square().mean())
        return found

    def of_picture(self, embeddings: Sequence[Tensor]) -> PyramidGenerator:
        """A picture's own generator, by one embedding (E,) for each scale. Raises UsageError before all training."""
        if self.scale < 0:
            raise UsageError("this network has not been trained; train it first")
        with torch.random.fork_rng(devices=[]):  # construction draws weights that are replaced at once
            made = PyramidGenerator(self.config.of_picture())
        made.sizes.copy_(torch.tensor(self.config.sizes))
        made.amplitudes.copy_(self.amplitudes)
        for parameter in made.parameters():
            nn.init.zeros_(parameter)
        for n in range(self.scale + 1):
            layers = [made.heads[n][0], *made.blocks[n][::2], made.tails[n]]  # type: ignore[index]
            emitted = self.heads[n](embeddings[n][None])
            for layer, (weight, bias) in zip(layers, emitted, strict=True):
                layer.weight.data.copy_(weight[0])
                layer.bias.data.copy_(bias[0])
        return made.to(self.z0.device).eval().requires_grad_(False)
