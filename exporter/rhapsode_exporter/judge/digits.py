"""How well a generator draws pictures of ten known kinds, digits or others, in figures."""

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
from rhapsode_exporter.loops.players import DrawingClasses

# A classifier learns from so many pictures, most of them many times where there are few.
LESSONS = 60_000
WATCHED_PICTURES = 500
FINAL_PICTURES = 10_000


@dataclass(frozen=True, slots=True)
class DigitJudge:
    """A classifier with what it says of real digits that it never saw."""

    classifier: Classifier
    accuracy: float
    on_real: Verdict
    latent_size: int
    # What one picture shows.
    noun: str = "digit"

    @classmethod
    def taught_by(cls, training: Digits, held_out: Digits, latent_size: int, noun: str = "digit") -> "DigitJudge":
        """A judge that learnt from one part of the real digits and was measured on the other."""
        classifier = train_classifier(training, max(2, LESSONS // len(training)), seed=0)
        on_real = judge(classifier, as_input(held_out))
        return cls(classifier, accuracy(classifier, held_out), on_real, latent_size, noun)

    def watch(self, generator: nn.Module) -> dict[str, float]:
        """A few figures for the history, from the same latents each time."""
        verdict = judge(self.classifier, self._drawn(generator, WATCHED_PICTURES))
        return {"confident": verdict.confident, f"rarest_{self.noun}": min(verdict.shares)}

    def metrics(self, generator: nn.Module) -> tuple[Metric, ...]:
        """The figures of a generator in [-1, 1] on FINAL_PICTURES pictures; one that draws classes, of each as many."""
        asked = _in_turn(FINAL_PICTURES, generator.classes) if isinstance(generator, DrawingClasses) else None
        return self.figures(self._drawn(generator, FINAL_PICTURES), asked)

    def figures(self, images: Tensor, asked: Tensor | None = None) -> tuple[Metric, ...]:
        """The figures of pictures [N, 1, 28, 28] in [0, 1], beside those of held-out real ones.

        With the classes [N] that they were asked for by, how often that is what the judge sees is told too.
        """
        made, real, noun = judge(self.classifier, images), self.on_real, self.noun
        who = f"a small classifier trained on real {noun}s"
        sure = f"share of pictures that {who} names with more than {CONFIDENT:.0%} confidence"
        rarest = f"share of the {noun} that {who} finds least often among the pictures (even: 10 %)"
        commonest = f"share of the {noun} that {who} finds most often among the pictures (even: 10 %)"
        known = f"share of held-out real {noun}s that the judging classifier names rightly"
        return (
            self._beside_real("confident_share", made.confident, real.confident, sure),
            self._beside_real(f"rarest_{noun}_share", min(made.shares), min(real.shares), rarest),
            self._beside_real(f"commonest_{noun}_share", max(made.shares), max(real.shares), commonest, up=False),
            *(() if asked is None else (self._obedience(images, asked),)),
            Metric(name="judge_accuracy_share", value=self.accuracy, higher_is_better=True, description=known),
        )

    def _obedience(self, images: Tensor, asked: Tensor) -> Metric:
        named = probabilities(self.classifier, images).argmax(dim=1)
        said = "share of pictures that the judging classifier names as the class that was asked for"
        right = float((named == asked).double().mean())
        return self._beside_real("asked_class_share", right, self.accuracy, said)

    @torch.no_grad()
    def _drawn(self, generator: nn.Module, count: int) -> Tensor:
        """Pictures [count, 1, 28, 28] in [0, 1], the same latents each time; classes in turn where there are any."""
        inputs = [torch.randn(count, self.latent_size, generator=torch.Generator().manual_seed(1))]
        if isinstance(generator, DrawingClasses):
            inputs.append(_in_turn(count, generator.classes))
        parts = zip(*(torch.split(tensor, 1000) for tensor in inputs), strict=True)
        return torch.cat([generator(*part) for part in parts]) * 0.5 + 0.5

    def _beside_real(self, name: str, value: float, real: float, description: str, *, up: bool = True) -> Metric:
        return Metric(
            name=name,
            value=value,
            higher_is_better=up,
            baseline=real,
            baseline_name=f"held-out real {self.noun}s",
            description=description,
        )


def _in_turn(count: int, classes: int) -> Tensor:
    """`count` classes, one after the other."""
    return torch.arange(count) % classes
