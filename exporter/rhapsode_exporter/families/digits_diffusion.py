"""The family digits-diffusion: handwritten digits out of noise, of a class that can be asked for."""

from dataclasses import asdict, dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from rhapsode.v1.bundle_pb2 import (
    DiffusionSpec,
    GraphRole,
    ImageSpec,
    LatentPrior,
    LatentSpec,
    Metric,
    ModelKind,
    StopReason,
    Training,
)
from rhapsode_exporter.bundle.draft import GOLDEN_ROWS, BundleDraft, GraphDraft, Preview
from rhapsode_exporter.data.digits import SIDE
from rhapsode_exporter.families.base import Order
from rhapsode_exporter.families.diffusion_source import HIGH, LOW, Source, mnist, own_pictures
from rhapsode_exporter.families.records import as_text, has_bfloat16, training_record
from rhapsode_exporter.judge.digits import DigitJudge
from rhapsode_exporter.judge.pictures import mean_normal_length
from rhapsode_exporter.loops.diffusion import (
    DiffusionSettings,
    Shown,
    add_noise,
    cosine_signal,
    even_times,
    train,
)
from rhapsode_exporter.networks.unet import Denoiser
from rhapsode_exporter.run.chance import Chance
from rhapsode_exporter.run.sheets import png_sheet
from rhapsode_exporter.sampling.denoise import Classes, Pictures, Way, ddim

SHOWN, PIXELS = 100, SIDE * SIDE
DEFAULT_STEPS, DEFAULT_GUIDANCE = 25, 1.5


@dataclass(frozen=True, slots=True)
class Size:
    """How large a network is trained, for how long, and on how many pictures it is judged."""

    width: int
    steps: int
    judged: int
    training: DiffusionSettings


FULL = Size(width=32, steps=3_000, judged=1_000, training=DiffusionSettings())
QUICK = Size(
    width=16,
    steps=500,
    judged=200,
    training=DiffusionSettings(learning_rate=4e-3, warm_up=50, average_decay=0.98, evaluate_every=250),
)


class DigitsDiffusion:
    """Class-conditional diffusion model with a small U-Net; by default of MNIST's digits."""

    name = "digits-diffusion"
    description = "diffusion model of 28×28 handwritten digits by class (or --data: your own folder of pictures)"
    schedules: tuple[str, ...] = ()
    measures_error = True

    def train(self, order: Order) -> BundleDraft | None:
        """Train, have the pictures judged by a classifier of real digits, and describe the denoiser."""
        size = QUICK if order.quick else FULL
        source = mnist(order.cache) if order.data is None else own_pictures(order.data)
        settings = replace(size.training, bfloat16=has_bfloat16())
        identity = as_text(asdict(settings) | {"width": size.width, "data": source.identity})
        torch.manual_seed(order.seed)
        classes = len(source.classes)
        network = Denoiser(torch.from_numpy(cosine_signal(settings.training_steps)), size.width, classes)
        run = order.open_run(self.name, order.stop_rule(size.steps))
        averaged, outcome = train(
            run,
            network,
            classes,
            source.training,
            source.held_out,
            settings,
            identity | {"seed": str(order.seed)},
            partial(_draw, settings.training_steps, SHOWN, 0, classes),
        )
        if outcome.stop.reason == StopReason.STOP_REASON_INTERRUPTED:
            return None
        record = training_record(source.record, identity, order.seed, outcome)
        order.console.print(f"drawing {size.judged:,} pictures to judge")
        return _draft(self.name, averaged, source, record, settings, _figures(averaged, source, size))


def _draft(
    name: str,
    network: nn.Module,
    source: Source,
    training: Training,
    settings: DiffusionSettings,
    metrics: tuple[Metric, ...],
) -> BundleDraft:
    network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # torch's stub lacks this form
    steps, classes = settings.training_steps, len(source.classes)
    return BundleDraft(
        name=name,
        kind=ModelKind.MODEL_KIND_DIFFUSION,
        description=source.description,
        licence=source.licence,
        graphs=(GraphDraft(GraphRole.GRAPH_ROLE_DENOISE, network, _golden_inputs(source.held_out, steps), ("noise",)),),
        training=training,
        metrics=metrics,
        preview=Preview("preview.png", png_sheet(_draw(steps, SHOWN, 0, classes, network), LOW, HIGH)),
        latent=LatentSpec(size=PIXELS, prior=LatentPrior.LATENT_PRIOR_NORMAL, mean_radius=mean_normal_length(PIXELS)),
        image=ImageSpec(height=SIDE, width=SIDE, channels=1, low=LOW, high=HIGH),
        classes=source.classes,
        diffusion=_spec(steps),
    )


def _spec(steps: int) -> DiffusionSpec:
    return DiffusionSpec(
        training_steps=steps,
        signal=cosine_signal(steps),
        default_steps=DEFAULT_STEPS,
        default_guidance=DEFAULT_GUIDANCE,
    )


def _golden_inputs(shown: Shown, steps: int) -> dict[str, Tensor]:
    """Held-out pictures in noise of all strengths, each asked for by its class, the last by none."""
    chance, signal = Chance(0), torch.from_numpy(cosine_signal(steps)).float()
    times, images = even_times(GOLDEN_ROWS, steps, chance), shown.images[:GOLDEN_ROWS]
    noisy = add_noise(images, chance.normal(*images.shape), signal[times])
    inputs = {"image": noisy, "time": times.float()}
    if shown.classes is not None:
        asked = shown.classes[:GOLDEN_ROWS].clone()
        asked[-1] = int(shown.classes.max()) + 1
        inputs["class_id"] = asked
    return inputs


@torch.no_grad()
def _draw(training_steps: int, count: int, seed: int, classes: int, network: nn.Module) -> Tensor:
    """The pictures [count, 1, 28, 28] that a bundle's users would see, its classes in turn."""
    noise = np.random.default_rng(seed).standard_normal((count, 1, SIDE, SIDE)).astype(np.float32)
    asked = np.arange(count) % classes if classes else None
    way = Way.of(_spec(training_steps), ImageSpec(low=LOW, high=HIGH))

    def predict(noisy: Pictures, time: np.ndarray, asked: Classes | None) -> Pictures:
        inputs = [torch.split(torch.from_numpy(each), 250) for each in (noisy, time, asked) if each is not None]
        found = torch.cat([network(*part) for part in zip(*inputs, strict=True)])
        return np.asarray(found.numpy())

    return torch.from_numpy(ddim(predict, way, noise, asked, classes))


def _figures(network: nn.Module, source: Source, size: Size) -> tuple[Metric, ...]:
    """What a classifier of real digits says; a user's own pictures have no judge."""
    if source.labelled is None:
        return ()
    judge = DigitJudge.taught_by(source.labelled.training, source.labelled.held_out, PIXELS)
    images = _draw(size.training.training_steps, size.judged, 1, len(source.classes), network)
    asked = torch.arange(size.judged) % len(source.classes)
    return judge.figures(images * 0.5 + 0.5, asked)
