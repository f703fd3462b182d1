"""How well a generator draws digits, in figures."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rhapsode.v1.bundle_pb2 import Metric
from rhapsode_exporter.data.digits import Digits
from rhapsode_exporter.judge.classifier import (
    CONFIDENT,
    Classifier,
    Verdict,
    accuracy,
    as_input,
    judge,
    probabilities,
    train_classifier,
)

EPOCHS = 15
WATCHED_PICTURES = 500
FINAL_PICTURES = 10_000
JUDGE = "a small classifier trained on real digits"


@dataclass(frozen=True, slots=True)
class DigitJudge:
    """A classifier with what it says of real digits that it never saw."""

    classifier: Classifier
    accuracy: float
    on_real: Verdict
    latent_size: int

    @classmethod
    def taught_by(cls, training: Digits, held_out: Digits, latent_size: int) -> "DigitJudge":
        """A judge that learnt from one part of the real digits and was measured on the other."""
        classifier = train_classifier(training, EPOCHS, seed=0)
        on_real = judge(classifier, as_input(held_out))
        return cls(classifier, accuracy(classifier, held_out), on_real, latent_size)

    def watch(self, generator: nn.Module) -> dict[str, float]:
        """A few figures for the history, from the same latents each time."""
        verdict = self._verdict(generator, WATCHED_PICTURES)
        return {"confident": verdict.confident, "rarest_digit": min(verdict.shares)}

    def metrics(self, generator: nn.Module) -> tuple[Metric, ...]:
        """The figures of a generator in [-1, 1] on FINAL_PICTURES pictures, beside those of held-out real digits."""
        return self.figures(self._verdict(generator, FINAL_PICTURES))

    def figures(self, made: Verdict) -> tuple[Metric, ...]:
        """The figures of pictures that were judged, beside those of held-out real digits."""
        real = self.on_real
        sure = f"share of pictures that {JUDGE} names with more than {CONFIDENT:.0%} confidence"
        rarest = f"share of the digit that {JUDGE} finds least often among the pictures (even: 10 %)"
        commonest = f"share of the digit that {JUDGE} finds most often among the pictures (even: 10 %)"
        return (
            _share("confident_share", made.confident, real.confident, sure),
            _share("rarest_digit_share", min(made.shares), min(real.shares), rarest),
            _share("commonest_digit_share", max(made.shares), max(real.shares), commonest, higher_is_better=False),
            Metric(
                name="judge_accuracy_share",
                value=self.accuracy,
                higher_is_better=True,
                description="share of held-out real digits that the judging classifier names rightly",
            ),
        )

    @torch.no_grad()
    def _verdict(self, generator: nn.Module, count: int) -> Verdict:
        latents = torch.randn(count, self.latent_size, generator=torch.Generator().manual_seed(1))
        images: list[Tensor] = [generator(part) for part in torch.split(latents, 1000)]
        return judge(self.classifier, torch.cat(images) * 0.5 + 0.5)


def conditional_metrics(digit_judge: DigitJudge, images: Tensor, asked: Tensor) -> tuple[Metric, ...]:
    """The figures of pictures [N, 1, 28, 28] in [0, 1] that were asked for by class [N]."""
    named = probabilities(digit_judge.classifier, images).argmax(dim=1)
    agreement = Metric(
        name="asked_class_share",
        value=float((named == asked).double().mean()),
        higher_is_better=True,
        baseline=digit_judge.accuracy,
        baseline_name="held-out real digits",
        description=f"share of pictures that {JUDGE} names as the class that was asked for",
    )
    return *digit_judge.figures(judge(digit_judge.classifier, images)), agreement


def _share(name: str, value: float, real: float, description: str, *, higher_is_better: bool = True) -> Metric:
    return Metric(
        name=name,
        value=value,
        higher_is_better=higher_is_better,
        baseline=real,
        baseline_name="held-out real digits",
        description=description,
    )
