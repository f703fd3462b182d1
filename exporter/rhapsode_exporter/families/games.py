"""What the adversarial families export alike: a generator with the critic that it was trained against."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rhapsode.v1.bundle_pb2 import GraphRole, ImageSpec, LatentPrior, LatentSpec, Metric, ModelKind, Training
from rhapsode_exporter.bundle.draft import GOLDEN_ROWS, BundleDraft, GraphDraft, Preview
from rhapsode_exporter.judge.pictures import mean_normal_length
from rhapsode_exporter.run.sheets import png_sheet


@dataclass(frozen=True, slots=True)
class Exhibits:
    """The players in evaluation mode, what to show them, and the names of the classes that both know.

    `shown` is what the generator draws from: latents [N, D], and class numbers [N] where there are classes; `real` are
    pictures for the critic, which gives class logits beside its realness where there are classes.
    """

    generator: nn.Module
    critic: nn.Module
    shown: tuple[Tensor, ...]
    real: Tensor
    classes: tuple[str, ...] = ()


def game_draft(
    name: str,
    description: str,
    licence: str,
    exhibits: Exhibits,
    image: ImageSpec,
    training: Training,
    metrics: tuple[Metric, ...],
) -> BundleDraft:
    """The bundle of a generator and its critic; latents are standard normals, `licence` is that of the weights."""
    size = exhibits.shown[0].shape[1]
    inputs = dict(zip(("latent", "class_id"), (tensor[:GOLDEN_ROWS] for tensor in exhibits.shown), strict=False))
    judged = ("realness", "class_logits") if exhibits.classes else ("realness",)
    with torch.no_grad():
        pictures = exhibits.generator(*exhibits.shown)
    return BundleDraft(
        name=name,
        kind=ModelKind.MODEL_KIND_GENERATOR,
        description=description,
        licence=licence,
        graphs=(
            GraphDraft(GraphRole.GRAPH_ROLE_DECODE, exhibits.generator, inputs, ("image",)),
            GraphDraft(GraphRole.GRAPH_ROLE_CRITIC, exhibits.critic, {"image": exhibits.real[:GOLDEN_ROWS]}, judged),
        ),
        training=training,
        metrics=metrics,
        preview=Preview("preview.png", png_sheet(pictures, image.low, image.high)),
        latent=LatentSpec(size=size, prior=LatentPrior.LATENT_PRIOR_NORMAL, mean_radius=mean_normal_length(size)),
        image=image,
        classes=exhibits.classes,
    )


def pretraining_metric(accuracy: float) -> Metric:
    """How well the critic knew the kind before the generator's first step."""
    return Metric(
        name="pretrained_critic_accuracy_share",
        value=accuracy,
        higher_is_better=True,
        baseline=0.5,
        baseline_name="guessing",
        description="share of held-out real and of generated pictures that the critic told apart before the "
        "generator's first step",
    )
