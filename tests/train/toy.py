"""A real GAN, small enough to train in a second: strided convolutions, R1, a carried state, dropout-like noise.

Run as a script it trains in a process of its own: `python toy.py DATA OUT ITERATIONS [PAUSE]`, and exits 130 when it
was interrupted. PAUSE seconds are slept at each iteration, so that a test can kill it at a chosen moment.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mediagen.models._spec import Batch, ModelSpec, Phase, PictureNeeds
from mediagen.train import Report, train

CROP = 16


@dataclass(frozen=True, kw_only=True)
class Config:
    width: int = 8
    blocks: int = 2
    rate: float = 0.003
    explode: bool = False
    half_life: float = 40.0

    def __post_init__(self) -> None:
        if self.width < 1:
            raise ValueError("width must be at least 1")


class Generator(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.start = nn.Linear(4, config.width * 16)
        self.blocks = nn.ModuleList(nn.Conv2d(config.width, config.width, 3, padding=1) for _ in range(config.blocks))
        self.out = nn.Conv2d(config.width, 3, 1)
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, z: Tensor) -> Tensor:
        """(B, 4) -> (B, 3, CROP, CROP)."""
        x = self.start(z).view(len(z), -1, 4, 4)
        for block in self.blocks:
            x = functional.leaky_relu(block(x), 0.2)
        return self.out(functional.interpolate(x, size=(CROP, CROP)))


class Critic(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, config.width, 4, 2, 1)
        self.out = nn.Linear(config.width * (CROP // 2) ** 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(functional.leaky_relu(self.conv(x), 0.2).flatten(1))


class Objective:
    averaged = ("generator",)
    output = "generator"

    def __init__(self, config: Config, device: torch.device) -> None:
        self.config, self.device, self.ema_half_life = config, device, config.half_life
        generator, critic = Generator(config).to(device), Critic(config).to(device)
        self.networks: dict[str, nn.Module] = {"generator": generator, "critic": critic}
        self.optimizers: dict[str, torch.optim.Optimizer] = {
            name: torch.optim.Adam(network.parameters(), config.rate, betas=(0.0, 0.99))
            for name, network in self.networks.items()
        }
        self.state = {"mean": torch.zeros((), device=device)}

    def phases(self, iteration: int) -> list[Phase]:
        found = [Phase("critic", "critic", self.critic_loss, self.count), Phase("generator", "generator", self.loss)]
        return [*found, Phase("r1", "critic", self.r1)] if iteration % 4 == 0 else found

    def count(self) -> None:
        self.networks["generator"].seen += 1  # type: ignore[operator]

    def fakes(self, count: int, rng: torch.Generator) -> Tensor:
        return self.networks["generator"](torch.randn(count, 4, generator=rng, device=self.device))

    def critic_loss(self, batch: Batch, rng: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        critic, real = self.networks["critic"], batch["pictures"]
        with torch.no_grad():
            fake = self.fakes(len(real), rng)
        loss = functional.softplus(critic(fake)).mean() + functional.softplus(-critic(real)).mean()
        return loss, {"critic/loss": loss, "top": batch["top"].mean()}

    def loss(self, batch: Batch, rng: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        score = self.networks["critic"](self.fakes(len(batch["pictures"]), rng)).float()
        with torch.no_grad():
            self.state["mean"].lerp_(score.mean(), 0.1)
        loss = functional.softplus(-score).mean() + 0.01 * (score.mean() - self.state["mean"]) ** 2
        if self.config.explode:
            loss = loss / (loss - loss).detach()
        return loss, {"generator/loss": loss}

    def r1(self, batch: Batch, rng: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        real = batch["pictures"].detach().clone().requires_grad_(True)
        slope = torch.autograd.grad(self.networks["critic"](real).sum(), real, create_graph=True)[0]
        return slope.square().sum((1, 2, 3)).mean(), {"critic/r1": slope.detach().square().mean()}

    def samples(self, network: nn.Module, count: int, rng: torch.Generator) -> Tensor:
        return network(torch.randn(count, 4, generator=rng, device=self.device))

    def preview(self, network: nn.Module, seed: int) -> np.ndarray:
        rng = torch.Generator(self.device).manual_seed(seed)
        pictures = self.samples(network, 3, rng).float().clamp(-1, 1).add(1).mul(127.5)
        return np.concatenate(list(pictures.permute(0, 2, 3, 1).to(torch.uint8).cpu().numpy()), axis=1)


SPEC = ModelSpec(
    kind="image",
    title="Toy",
    paper="none",
    summary="a toy",
    config=Config,
    presets={"small": Config(), "wide": Config(width=12), "deep": Config(blocks=4)},
    build=Generator,
    objective=Objective,
    needs=lambda config: PictureNeeds(height=20, crop=CROP),
    latents={"z": "N(0, I)"},
)


def run(data: object, out: object, iterations: int | None = 12, **more: object) -> Report:
    """A training that is short and leaves something every few iterations."""
    settings: dict[str, object] = {"snapshot_every": 4, "preview_every": 4, "log_every": 2, "precision": "fp32"}
    settings |= {"batch": 4, "device": "cpu", **more}
    return train("toy", data, out, iterations=iterations, spec=SPEC, **settings)  # type: ignore[arg-type]


def main(data: str, out: str, iterations: str, pause: str = "0") -> int:
    torch.set_num_threads(1)

    def progress(done: int, total: int, scalars: Mapping[str, float]) -> None:
        print(done, flush=True)
        time.sleep(float(pause))

    report = run(data, out, int(iterations), progress=progress, accumulate=2)
    return 130 if report.interrupted else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
