"""The family faces-vae: a variational autoencoder of pixel-art faces."""

from dataclasses import asdict, dataclass, replace

import torch
from torch import Tensor

from rhapsode.v1.bundle_pb2 import (
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
from rhapsode_exporter.data.faces import SIDE
from rhapsode_exporter.families.base import Order
from rhapsode_exporter.families.face_directions import Directions, Effort, directions
from rhapsode_exporter.families.faces_source import Source, drawn_faces, own_pictures
from rhapsode_exporter.families.records import as_text, has_bfloat16, training_record
from rhapsode_exporter.judge.pictures import mean_length, mean_psnr
from rhapsode_exporter.loops.autoencoder import AutoencoderSettings, Pictures, train
from rhapsode_exporter.networks.vae import CHANNELS, Autoencoder
from rhapsode_exporter.run.sheets import png_sheet

SHOWN = 100


@dataclass(frozen=True, slots=True)
class Size:
    """How large a network is trained, on how many faces, and for how long."""

    faces: int
    width: int
    latent_size: int
    steps: int
    training: AutoencoderSettings
    effort: Effort


FULL = Size(
    faces=20_000,
    width=24,
    latent_size=64,
    steps=8_000,
    training=AutoencoderSettings(batch=64, pixel_deviation=0.1, evaluate_every=1000),
    effort=Effort(pairs=1000, judge_steps=800, fit_steps=200),
)
QUICK = Size(
    faces=3_000,
    width=16,
    latent_size=64,
    steps=400,
    training=AutoencoderSettings(batch=64, warm_up=40, divergence_warm_up=100, evaluate_every=100),
    effort=Effort(pairs=150, judge_steps=150, fit_steps=50),
)


class FacesVae:
    """Convolutional VAE; by default of DiceBear's pixel-art faces, with named directions for glasses, hats, beards …"""

    name = "faces-vae"
    description = "convolutional VAE of 16×16 pixel-art faces (or --data: your own folder of pictures)"
    schedules: tuple[str, ...] = ()
    measures_error = True

    def train(self, order: Order) -> BundleDraft | None:
        """Train, measure on the held-out faces, and describe the encoder and the decoder."""
        size = QUICK if order.quick else FULL
        source = (
            drawn_faces(size.faces, order.cache, size.latent_size) if order.data is None else own_pictures(order.data)
        )
        settings = replace(size.training, bfloat16=has_bfloat16())
        shape = {"width": size.width, "latent_size": size.latent_size}
        identity = as_text(asdict(settings) | shape | {"data": source.identity})
        torch.manual_seed(order.seed)
        network = Autoencoder(size.width, size.latent_size)
        samples = torch.randn(SHOWN, size.latent_size, generator=torch.Generator().manual_seed(0))
        run = order.open_run(self.name, order.stop_rule(size.steps))
        pictures = Pictures(source.training, source.validation)
        outcome = train(run, network, pictures, settings, identity | {"seed": str(order.seed)}, samples)
        if outcome.stop.reason == StopReason.STOP_REASON_INTERRUPTED:
            return None
        record = training_record(source.record, identity, order.seed, outcome, source.packages)
        network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # torch's stub lacks this form
        network.settle(source.training)
        found = Directions((), ()) if source.labels is None else directions(network, source, source.labels, size.effort)
        return _draft(self.name, network, source, record, samples, found)


def _draft(
    name: str, network: Autoencoder, source: Source, training: Training, samples: Tensor, found: Directions
) -> BundleDraft:
    radius = mean_length(network.encode(source.training))
    return BundleDraft(
        name=name,
        kind=ModelKind.MODEL_KIND_AUTOENCODER,
        description=source.description,
        licence=source.record.licence,
        graphs=_graphs(network, source.training[:GOLDEN_ROWS], samples[:GOLDEN_ROWS]),
        training=training,
        metrics=_figures(network, source) + found.metrics,
        preview=Preview("preview.png", png_sheet(network.decode(samples), 0.0, 1.0)),
        latent=LatentSpec(size=samples.shape[1], prior=LatentPrior.LATENT_PRIOR_NORMAL, mean_radius=radius),
        image=ImageSpec(height=SIDE, width=SIDE, channels=CHANNELS, low=0.0, high=1.0),
        attributes=found.attributes,
    )


def _graphs(network: Autoencoder, images: Tensor, latents: Tensor) -> tuple[GraphDraft, GraphDraft]:
    return (
        GraphDraft(GraphRole.GRAPH_ROLE_DECODE, network.decoder, {"latent": latents}, ("image",)),
        GraphDraft(GraphRole.GRAPH_ROLE_ENCODE, network.encoder, {"image": images}, ("mean", "log_variance")),
    )


def _figures(network: Autoencoder, source: Source) -> tuple[Metric, ...]:
    """The reconstruction of pictures never seen, beside that of the mean picture, which any model must beat."""
    mean_picture = source.training.mean(dim=0, keepdim=True).expand_as(source.held_out)
    return (
        Metric(
            name="held_out_psnr_db",
            value=mean_psnr(network.reconstruct(source.held_out), source.held_out),
            higher_is_better=True,
            baseline=mean_psnr(mean_picture, source.held_out),
            baseline_name="the mean picture of the training set",
            description="mean over held-out pictures of each one's peak signal-to-noise ratio, "
            "decoded from the mean of its latent",
        ),
    )
