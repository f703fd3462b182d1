"""The family shapes-vae: a β-VAE of rendered solids whose factors are directions in latent space."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace

import torch
from torch import Tensor

from rhapsode.v1.bundle_pb2 import (
    DataSet,
    GraphRole,
    ImageSpec,
    LatentPrior,
    LatentSpec,
    Metric,
    ModelKind,
    StopReason,
    Training,
)
from rhapsode_exporter.bundle.draft import GOLDEN_ROWS, AttributeDraft, BundleDraft, GraphDraft, Preview
from rhapsode_exporter.data.shapes import FACTORS, HELD_OUT, RANGES, SEED, SIDE, Shapes, draw, render
from rhapsode_exporter.errors import DataUnavailableError
from rhapsode_exporter.families.base import Order
from rhapsode_exporter.families.faces_source import as_pictures
from rhapsode_exporter.families.records import as_text, has_bfloat16, training_record
from rhapsode_exporter.judge.pictures import mean_length, mean_psnr
from rhapsode_exporter.judge.probes import Probe, fit_probe, r_squared
from rhapsode_exporter.loops.autoencoder import AutoencoderSettings, Pictures, train
from rhapsode_exporter.loops.directions import Side, fit_direction
from rhapsode_exporter.networks.vae import CHANNELS, Autoencoder
from rhapsode_exporter.run.sheets import png_sheet

SHOWN = 100
FITTED = 500  # solids, each before and after, that a direction is fitted to
LATENT_SIZE = 48  # many small numbers: with ten, factors lie along curves that no linear probe follows

# What adding each direction once does: the half of the factor's range, or the whole way to a cone.
STEPS = (1.0, *(0.5 * (high - low) for low, high in RANGES[1:]))
DESCRIPTIONS = (
    "Turns a cylinder into a cone.",
    "Makes the solid 6 pixels higher.",
    "Makes the radius 2 pixels wider.",
    "Leans the solid 45 degrees further to the right.",
    "Moves the hue on by 75 degrees, from red over yellow and green towards cyan.",
)


@dataclass(frozen=True, slots=True)
class Size:
    """How large a network is trained, on how many solids, and for how long."""

    solids: int
    width: int
    steps: int
    training: AutoencoderSettings
    fit_steps: int  # of each direction


FULL = Size(
    solids=10_000,
    width=12,
    steps=2_000,
    training=AutoencoderSettings(batch=64, pixel_deviation=0.05, beta=2.0, evaluate_every=500),
    fit_steps=150,
)
QUICK = Size(
    solids=4_000,
    width=8,
    steps=500,
    training=AutoencoderSettings(
        batch=64, warm_up=40, pixel_deviation=0.05, beta=2.0, divergence_warm_up=100, evaluate_every=200
    ),
    fit_steps=30,
)


@dataclass(frozen=True, slots=True)
class Solids:
    """Pictures [N, 3, 32, 32] in [0, 1] with their factors [N, 5]."""

    pictures: Tensor
    factors: Tensor

    @classmethod
    def of(cls, shapes: Shapes) -> "Solids":
        """Drawn solids as a network takes them."""
        return cls(as_pictures(shapes.images), torch.from_numpy(shapes.factors))


class ShapesVae:
    """β-VAE (Higgins et al. 2017) of cylinders and cones; each of their factors is a named direction."""

    name = "shapes-vae"
    description = "β-VAE of 32×32 rendered cylinders and cones, whose factors are named directions"
    schedules: tuple[str, ...] = ()
    measures_error = True

    def train(self, order: Order) -> BundleDraft | None:
        """Train, probe the latents of held-out solids, and describe encoder, decoder and directions."""
        if order.data is not None:
            raise DataUnavailableError(f"{self.name} makes its own data; leave --data out")
        size = QUICK if order.quick else FULL
        drawn = draw(size.solids, SEED)
        known, held_out = Solids.of(drawn.take(slice(0, -HELD_OUT))), Solids.of(drawn.take(slice(-HELD_OUT, None)))
        settings = replace(size.training, bfloat16=has_bfloat16())
        shape = {"width": size.width, "latent_size": LATENT_SIZE, "solids": size.solids}
        identity = as_text(asdict(settings) | shape)
        torch.manual_seed(order.seed)
        network = Autoencoder(size.width, LATENT_SIZE, SIDE)
        samples = torch.randn(SHOWN, LATENT_SIZE, generator=torch.Generator().manual_seed(0))
        run = order.open_run(self.name, order.stop_rule(size.steps))
        pictures = Pictures(known.pictures[:-HELD_OUT], known.pictures[-HELD_OUT:])
        outcome = train(run, network, pictures, settings, identity | {"seed": str(order.seed)}, samples)
        if outcome.stop.reason == StopReason.STOP_REASON_INTERRUPTED:
            return None
        network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # torch's stub lacks this form
        network.settle(known.pictures)
        record = training_record(_record(size), identity, order.seed, outcome)
        return _draft(self.name, network, known, held_out, record, samples, size.fit_steps)


def _record(size: Size) -> DataSet:
    ranges = ", ".join(f"{name} {low:g} to {high:g}" for name, (low, high) in zip(FACTORS[1:], RANGES[1:], strict=True))
    return DataSet(
        name=f"{size.solids} rendered cylinders and cones ({ranges}; pixels and degrees)",
        licence="CC0-1.0",
        held_out=f"the {HELD_OUT} solids that were drawn last",
    )


def _draft(
    name: str,
    network: Autoencoder,
    known: Solids,
    held_out: Solids,
    training: Training,
    samples: Tensor,
    fit_steps: int,
) -> BundleDraft:
    latents = network.encode(known.pictures)
    attributes = _attributes(network, latents, known.factors, held_out, fit_steps)
    return BundleDraft(
        name=name,
        kind=ModelKind.MODEL_KIND_AUTOENCODER,
        description="Cylinders and cones of 32×32 pixels, rendered with known height, radius, lean and hue: an encoder "
        f"to latents of {LATENT_SIZE} numbers, in which each of these is a direction, and the decoder. It is made to "
        "encode and to edit: five factors fill little of the latent space, so what is drawn from a seed is often "
        "between solids.",
        licence="CC0-1.0",
        graphs=_graphs(network, known.pictures[:GOLDEN_ROWS], samples[:GOLDEN_ROWS]),
        training=training,
        metrics=tuple(_figures(network, known, held_out, attributes)),
        preview=Preview("preview.png", png_sheet(_walks(network, held_out, attributes), 0.0, 1.0, scale=2)),
        latent=LatentSpec(size=LATENT_SIZE, prior=LatentPrior.LATENT_PRIOR_NORMAL, mean_radius=mean_length(latents)),
        image=ImageSpec(height=SIDE, width=SIDE, channels=CHANNELS, low=0.0, high=1.0),
        attributes=attributes,
    )


def _walks(network: Autoencoder, held_out: Solids, attributes: tuple[AttributeDraft, ...]) -> Tensor:
    """Two rows of ten pictures for each direction: held-out solids from one strength below to one above."""
    strengths = torch.linspace(-1.0, 1.0, 10)[:, None]
    starts = network.encode(held_out.pictures[: 2 * len(attributes)])
    rows = [start + strengths * attributes[place // 2].vector for place, start in enumerate(starts)]
    return network.decode(torch.cat(rows))


def _graphs(network: Autoencoder, images: Tensor, latents: Tensor) -> tuple[GraphDraft, GraphDraft]:
    return (
        GraphDraft(GraphRole.GRAPH_ROLE_DECODE, network.decoder, {"latent": latents}, ("image",)),
        GraphDraft(GraphRole.GRAPH_ROLE_ENCODE, network.encoder, {"image": images}, ("mean", "log_variance")),
    )


def _attributes(
    network: Autoencoder, latents: Tensor, factors: Tensor, held_out: Solids, steps: int
) -> tuple[AttributeDraft, ...]:
    """A direction for each factor, fitted to solids that differ in it alone."""
    probe = fit_probe(latents, factors)
    found = r_squared(probe, network.encode(held_out.pictures), held_out.factors)
    return tuple(
        AttributeDraft(
            name,
            DESCRIPTIONS[place],
            vector,
            1.0,
            (_explained(float(found[place])), _moved(_response(network, probe, held_out, vector, place))),
        )
        for place, name in enumerate(FACTORS)
        for vector in (_direction(network, place, steps),)
    )


def _direction(network: Autoencoder, place: int, steps: int) -> Tensor:
    """The move that takes solids of the lower half of a factor's range to the same place in the upper half."""
    before = draw(FITTED, SEED + 1).factors
    low = RANGES[place][0]
    before[:, place] = low if place == 0 else low + (before[:, place] - low) % STEPS[place]
    after = before.copy()
    after[:, place] += STEPS[place]
    absent, present = (as_pictures(render(factors)) for factors in (before, after))
    return fit_direction(
        network, Side(absent, network.encode(absent)), Side(present, network.encode(present)), steps=steps
    )


def _explained(value: float) -> Metric:
    return Metric(
        name="r_squared",
        value=value,
        higher_is_better=True,
        baseline=0.0,
        baseline_name="the mean of the factor",
        description="share of the factor's variance over held-out solids that a linear probe finds in their latents",
    )


def _moved(value: float) -> Metric:
    return Metric(
        name="response",
        value=value,
        higher_is_better=True,
        baseline=0.0,
        baseline_name="no edit",
        description="change of the factor that the probe finds on decoded and encoded pictures the "
        "direction was added, over the change that was meant; held-out solids of the lower half of the range",
    )


def _response(network: Autoencoder, probe: Probe, held_out: Solids, vector: Tensor, place: int) -> float:
    """How much of a move arrives, where there is room for it."""
    low, high = RANGES[place]
    room = held_out.factors[:, place] < (low + high) / 2
    start = network.encode(held_out.pictures[room])
    before, after = (network.encode(network.decode(latents)) for latents in (start, start + vector))
    change = (probe.predict(after) - probe.predict(before))[:, place].mean()
    return float(change) / STEPS[place]


def _figures(
    network: Autoencoder, known: Solids, held_out: Solids, attributes: tuple[AttributeDraft, ...]
) -> Iterator[Metric]:
    mean_picture = known.pictures.mean(dim=0, keepdim=True).expand_as(held_out.pictures)
    yield Metric(
        name="held_out_psnr_db",
        value=mean_psnr(network.reconstruct(held_out.pictures), held_out.pictures),
        higher_is_better=True,
        baseline=mean_psnr(mean_picture, held_out.pictures),
        baseline_name="the mean picture of the training set",
        description="mean over held-out pictures of each one's peak signal-to-noise ratio, "
        "decoded from the mean of its latent",
    )
    yield Metric(
        name="worst_factor_r_squared",
        value=min(attribute.metrics[0].value for attribute in attributes),
        higher_is_better=True,
        baseline=0.0,
        baseline_name="the mean of the factor",
        description="least over the factors of the share of variance that a linear probe finds in held-out latents",
    )
