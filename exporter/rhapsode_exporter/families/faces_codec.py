"""The family faces-codec: an autoencoder that writes pixel-art faces in some thirty bytes."""

from dataclasses import asdict, dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rhapsode.v1.bundle_pb2 import (
    CodeSpec,
    GraphRole,
    ImageSpec,
    LatentPrior,
    LatentSpec,
    Metric,
    ModelKind,
    StopReason,
    Training,
)
from rhapsode_exporter.bundle.draft import GOLDEN_ROWS, BundleDraft, CodeDraft, GraphDraft, Preview
from rhapsode_exporter.data.faces import SIDE
from rhapsode_exporter.families.base import Order
from rhapsode_exporter.families.faces_source import Source, drawn_faces, own_pictures
from rhapsode_exporter.families.records import as_text, has_bfloat16, training_record
from rhapsode_exporter.judge.compression import Sheet, frequencies, payload_bytes
from rhapsode_exporter.judge.pictures import mean_length, mean_psnr
from rhapsode_exporter.loops.autoencoder import Pictures
from rhapsode_exporter.loops.compression import CompressionSettings, train
from rhapsode_exporter.networks.compressor import Compressor
from rhapsode_exporter.networks.vae import CHANNELS
from rhapsode_exporter.run.sheets import beside, png_sheet

SHOWN = 40
LONGEST_REACH = 255


@dataclass(frozen=True, slots=True)
class Size:
    """How large a network is trained, on how many faces, and for how long."""

    faces: int
    width: int
    latent_size: int
    steps: int
    training: CompressionSettings


FULL = Size(faces=20_000, width=24, latent_size=48, steps=8_000, training=CompressionSettings())
QUICK = Size(
    faces=3_000,
    width=16,
    latent_size=32,
    steps=500,
    training=CompressionSettings(warm_up=40, rate_warm_up=200, evaluate_every=100),
)


class FacesCodec:
    """Autoencoder with rounded latents; by default of DiceBear's pixel-art faces."""

    name = "faces-codec"
    description = "compressing autoencoder of 16×16 pixel-art faces (or --data: your own folder of pictures)"
    schedules: tuple[str, ...] = ()
    measures_error = True

    def train(self, order: Order) -> BundleDraft | None:
        """Train, count how often each code is met, and compare with files of the held-out faces."""
        size = QUICK if order.quick else FULL
        source = (
            drawn_faces(size.faces, order.cache, size.latent_size) if order.data is None else own_pictures(order.data)
        )
        settings = replace(size.training, bfloat16=has_bfloat16())
        shape = {"width": size.width, "latent_size": size.latent_size}
        identity = as_text(asdict(settings) | shape | {"data": source.identity})
        torch.manual_seed(order.seed)
        network = Compressor(size.width, size.latent_size)
        run = order.open_run(self.name, order.stop_rule(size.steps))
        pictures = Pictures(source.training, source.validation)
        outcome = train(run, network, pictures, settings, identity | {"seed": str(order.seed)})
        if outcome.stop.reason == StopReason.STOP_REASON_INTERRUPTED:
            return None
        record = training_record(source.record, identity, order.seed, outcome, source.packages)
        return _draft(self.name, network, source, record)


def _draft(name: str, network: Compressor, source: Source, training: Training) -> BundleDraft:
    codes = network.codes(source.training)
    reach = min(LONGEST_REACH, int(codes.abs().max()) + 1)
    table = frequencies(_whole(codes), reach)
    size, shown = codes.shape[1], source.held_out[:SHOWN]
    return BundleDraft(
        name=name,
        kind=ModelKind.MODEL_KIND_AUTOENCODER,
        description=f"{source.description} Its latents are learnt to be rounded, so that a face takes few bytes; "
        "what is drawn from a seed is none.",
        licence=source.record.licence,
        graphs=(
            GraphDraft(
                GraphRole.GRAPH_ROLE_DECODE, network.decoder, {"latent": codes[:GOLDEN_ROWS].contiguous()}, ("image",)
            ),
            GraphDraft(
                GraphRole.GRAPH_ROLE_ENCODE,
                network.encoder,
                {"image": source.training[:GOLDEN_ROWS]},
                ("mean", "log_variance"),
            ),
        ),
        training=training,
        metrics=_figures(network, source, reach, table),
        preview=Preview("preview.png", png_sheet(beside(shown, network.decode(network.codes(shown))), 0.0, 1.0)),
        latent=LatentSpec(size=size, prior=LatentPrior.LATENT_PRIOR_NORMAL, mean_radius=mean_length(codes)),
        image=ImageSpec(height=SIDE, width=SIDE, channels=CHANNELS, low=0.0, high=1.0),
        code=CodeDraft(CodeSpec(step=1.0, reach=reach), table),
    )


def _whole(codes: Tensor) -> NDArray[np.int64]:
    return codes.long().numpy()


def _figures(network: Compressor, source: Source, reach: int, table: NDArray[np.int32]) -> tuple[Metric, ...]:
    """Quality and size of held-out pictures as codes, beside files of all of them on one sheet, equally good."""
    sheet = Sheet(source.held_out)
    codes = network.codes(sheet.pictures).clamp(-reach, reach)
    quality = mean_psnr(network.decode(codes), sheet.pictures)
    size = payload_bytes(_whole(codes), table)
    raw = sheet.pictures.numel()
    mean_picture = source.training.mean(dim=0, keepdim=True).expand_as(sheet.pictures)
    rivals = {"palette_png": sheet.palette_png(quality), "webp": sheet.webp(quality), "jpeg": sheet.jpeg(quality)}
    return (
        Metric(
            name="held_out_psnr_db",
            value=quality,
            higher_is_better=True,
            baseline=mean_psnr(mean_picture, sheet.pictures),
            baseline_name="the mean picture of the training set",
            description="mean over held-out pictures of each one's peak signal-to-noise ratio, decoded from its code",
        ),
        Metric(
            name="held_out_compression_ratio",
            value=raw / size,
            higher_is_better=True,
            baseline=raw / rivals["palette_png"].size,
            baseline_name=rivals["palette_png"].words,
            description=f"bytes of pixels over bytes of payloads, {len(codes)} held-out pictures, a payload each with "
            "all that it holds; the file has all of them on one sheet, at the same ratio of signal to noise or better",
        ),
        *(
            Metric(
                name=f"held_out_bytes_per_picture_beside_{name}",
                value=size / len(codes),
                higher_is_better=False,
                baseline=rival.size / len(codes),
                baseline_name=rival.words,
                description="the same payloads, and the same sheet as a file at least as good",
            )
            for name, rival in rivals.items()
        ),
    )
