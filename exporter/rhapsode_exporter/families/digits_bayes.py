"""The family digits-bayes: handwritten digits by naive Bayes, counted and not trained."""

import torch
from torch import Tensor

from rhapsode.v1.bundle_pb2 import GraphRole, ImageSpec, LatentPrior, LatentSpec, Metric, ModelKind, StopReason
from rhapsode_exporter.bundle.draft import GOLDEN_ROWS, BundleDraft, GraphDraft, Preview
from rhapsode_exporter.data.digits import CLASSES, SIDE
from rhapsode_exporter.families.base import Order
from rhapsode_exporter.families.labelled_digits import LICENCE, NAMES, LabelledPictures, labelled_digits
from rhapsode_exporter.families.records import as_text, training_record
from rhapsode_exporter.judge.perceptron import perceptron_accuracy
from rhapsode_exporter.judge.pictures import mean_length
from rhapsode_exporter.networks.bayes import SMOOTHING, BayesCritic, BayesDecoder, count_pixels, lit
from rhapsode_exporter.run.folder import Position
from rhapsode_exporter.run.sheets import png_sheet
from rhapsode_exporter.run.stop import Stop
from rhapsode_exporter.run.training import Outcome, Stopwatch

SHOWN, PIXELS = 100, SIDE * SIDE
EPOCHS, QUICK_EPOCHS = 30, 5
JUDGED, QUICK_JUDGED = 10_000, 1_000
DESCRIPTION = (
    "Handwritten digits of 28×28 black or white pixels by naive Bayes: a class, then each pixel by itself given the "
    "class, with probabilities that were counted. The latent is a uniform for each pixel, which is lit where its "
    "uniform lies below its probability. The critic tells classes by Bayes' rule; its realness is the log-likelihood "
    "of a picture under all classes, in deviations above (or below) the mean of the training pictures."
)


class DigitsBayes:
    """Naive Bayes with Laplace's smoothing; a generator and a classifier from one table of counts."""

    name = "digits-bayes"
    description = "naive Bayes of 28×28 handwritten digits by class, counted in a second"
    schedules: tuple[str, ...] = ()
    measures_error = False

    def train(self, order: Order) -> BundleDraft | None:
        """Count, measure beside a perceptron, and describe the decoder and the critic."""
        watch = Stopwatch()
        digits = labelled_digits(order, self.name, "black where a pixel is at most half lit")
        pixels = lit(digits.training)
        probabilities = count_pixels(pixels, digits.labels, CLASSES)
        shares = torch.bincount(digits.labels, minlength=CLASSES).double() / len(digits.labels)
        decoder = BayesDecoder(probabilities, SIDE)
        critic = BayesCritic(probabilities, shares).standardised(digits.training)
        stop = Stop(StopReason.STOP_REASON_STEPS, f"all {len(pixels)} pictures counted")
        outcome = Outcome(stop, Position(len(pixels), watch.seconds()))
        order.console.print("teaching a perceptron the same pictures, to compare with")
        return BundleDraft(
            name=self.name,
            kind=ModelKind.MODEL_KIND_GENERATOR,
            description=DESCRIPTION,
            licence=LICENCE,
            graphs=_graphs(decoder, critic, digits.held_out),
            training=training_record(digits.record, as_text({"smoothing": SMOOTHING}), order.seed, outcome),
            metrics=_figures(decoder, critic, digits, quick=order.quick),
            preview=Preview("preview.png", png_sheet(_draw(decoder, SHOWN, 0), 0.0, 1.0)),
            latent=LatentSpec(
                size=PIXELS, prior=LatentPrior.LATENT_PRIOR_UNIFORM, mean_radius=mean_length(_uniforms(1_000, 0))
            ),
            image=ImageSpec(height=SIDE, width=SIDE, channels=1, low=0.0, high=1.0),
            classes=NAMES,
        )


def _graphs(decoder: BayesDecoder, critic: BayesCritic, images: Tensor) -> tuple[GraphDraft, GraphDraft]:
    drawn = {"latent": _uniforms(GOLDEN_ROWS, 0), "class_id": _classes(GOLDEN_ROWS)}
    return (
        GraphDraft(GraphRole.GRAPH_ROLE_DECODE, decoder, drawn, ("image",)),
        GraphDraft(
            GraphRole.GRAPH_ROLE_CRITIC,
            critic,
            {"image": images[:GOLDEN_ROWS]},
            ("realness", "class_logits"),
            tolerance=1e-2,  # of sums of 784 logarithms
        ),
    )


@torch.no_grad()
def _figures(
    decoder: BayesDecoder, critic: BayesCritic, digits: LabelledPictures, *, quick: bool
) -> tuple[Metric, ...]:
    realness, joint = critic(digits.held_out)
    right = float((joint.argmax(dim=1) == digits.held_out_labels).double().mean())
    count = QUICK_JUDGED if quick else JUDGED
    drawn = digits.judge.figures(_draw(decoder, count, 1), _classes(count))
    return (
        Metric(
            name="accuracy_share",
            value=right,
            higher_is_better=True,
            baseline=_perceptron(digits, QUICK_EPOCHS if quick else EPOCHS),
            baseline_name="a perceptron of one hidden layer, trained on the same black-and-white pictures",
            description="share of held-out digits that the critic names rightly, by Bayes' rule",
        ),
        Metric(
            name="held_out_nats_per_picture",
            value=-float((realness * critic.spread + critic.typical).mean()),
            higher_is_better=False,
            baseline=_nats_without_classes(digits),
            baseline_name="the same with a single class",
            description="mean negative log-likelihood of a held-out black-and-white picture",
        ),
        *drawn,
    )


@torch.enable_grad()
def _perceptron(digits: LabelledPictures, epochs: int) -> float:
    return perceptron_accuracy(
        lit(digits.training), digits.labels, lit(digits.held_out), digits.held_out_labels, epochs, CLASSES
    )


def _nats_without_classes(digits: LabelledPictures) -> float:
    together = torch.zeros_like(digits.labels)
    critic = BayesCritic(count_pixels(lit(digits.training), together, 1), torch.ones(1))
    likelihood, _ = critic(digits.held_out)
    return -float(likelihood.mean())


@torch.no_grad()
def _draw(decoder: BayesDecoder, count: int, seed: int) -> Tensor:
    """Pictures [count, 1, 28, 28], the classes in turn."""
    pictures: Tensor = decoder(_uniforms(count, seed), _classes(count))
    return pictures


def _uniforms(count: int, seed: int) -> Tensor:
    return 2.0 * torch.rand(count, PIXELS, generator=torch.Generator().manual_seed(seed)) - 1.0


def _classes(count: int) -> Tensor:
    return torch.arange(count) % CLASSES
