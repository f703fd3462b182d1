"""The families digits-gan and fashion-gan: deep convolutional GANs of small grey pictures."""

from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from rhapsode.v1.bundle_pb2 import ImageSpec, StopReason
from rhapsode_exporter.bundle.draft import BundleDraft
from rhapsode_exporter.data.digits import SIDE
from rhapsode_exporter.families.base import Order
from rhapsode_exporter.families.digits_source import HIGH, LOW, Source, fashion_mnist, mnist, own_pictures
from rhapsode_exporter.families.games import Exhibits, game_draft, pretraining_metric
from rhapsode_exporter.families.records import as_text, has_bfloat16, training_record
from rhapsode_exporter.judge.digits import DigitJudge
from rhapsode_exporter.loops.adversarial import AdversarialSettings, RealPictures, train
from rhapsode_exporter.loops.augment import shift
from rhapsode_exporter.loops.losses import LOSSES
from rhapsode_exporter.loops.players import Players, PlayerSettings
from rhapsode_exporter.networks.dcgan import ClassGenerator, ClassifyingCritic, Critic, Generator
from rhapsode_exporter.networks.plain import with_plain_weights

SHOWN = 100
# The critic sees every picture moved by up to so many pixels, as there are few.
REACH = 1
DIGITS, FASHION = "digits", "fashion"
SETS = {DIGITS: mnist, FASHION: fashion_mnist}


@dataclass(frozen=True, slots=True)
class Size:
    """How large the players are, and how long they play."""

    generator_width: int
    critic_width: int
    steps: int
    players: PlayerSettings
    game: AdversarialSettings


FULL = Size(
    generator_width=24,
    critic_width=32,
    steps=8_000,
    players=PlayerSettings(latent_size=64, batch=32, generator_rate=4e-4, critic_rate=4e-4, naming=0.5),
    game=AdversarialSettings(pretraining=100, average_decay=0.998, evaluate_every=500),
)
QUICK = Size(
    generator_width=16,
    critic_width=16,
    steps=600,
    players=PlayerSettings(latent_size=64, batch=32, generator_rate=1e-3, critic_rate=1e-3, naming=0.5),
    game=AdversarialSettings(pretraining=50, average_decay=0.98, evaluate_every=200),
)


@dataclass(frozen=True)
class DigitsGan:
    """DCGAN that draws the class it is asked for, where classes are known; by default of MNIST's digits."""

    name: str = "digits-gan"
    description: str = (
        "deep convolutional GAN of 28×28 handwritten digits (or --data: fashion, or your own folder of pictures)"
    )
    data: str = DIGITS
    schedules: tuple[str, ...] = ()
    losses: tuple[str, ...] = tuple(LOSSES)
    data_sets: tuple[str, ...] = (DIGITS, FASHION)
    measures_error: bool = False

    def train(self, order: Order) -> BundleDraft | None:
        """Play the game, have the generator judged by a classifier of real digits, and describe both players."""
        size = QUICK if order.quick else FULL
        source = self._source(order.data, order.cache, size.players.latent_size)
        judge = _judge(source, size)
        settings = replace(size.players, bfloat16=has_bfloat16(), loss=order.loss or size.players.loss)
        shape = {"generator_width": size.generator_width, "critic_width": size.critic_width, "reach": REACH}
        identity = as_text(asdict(settings) | asdict(size.game) | shape | {"data": source.identity})
        torch.manual_seed(order.seed)
        players = _players(size, settings, source)
        samples = _shown(settings.latent_size, len(source.names))
        run = order.open_run(self.name, order.stop_rule(size.steps))
        real = RealPictures(source.training, source.held_out, source.labels)
        watch = judge.watch if judge else _unwatched
        played = train(run, players, real, size.game, identity | {"seed": str(order.seed)}, samples, watch)
        if played.outcome.stop.reason == StopReason.STOP_REASON_INTERRUPTED:
            return None
        record = training_record(source.record, identity, order.seed, played.outcome)
        figures = (
            pretraining_metric(played.figures.pretrained_accuracy),
            *(judge.metrics(played.generator) if judge else ()),
        )
        return game_draft(
            self.name,
            source.description,
            source.licence,
            Exhibits(played.generator, _exported(players.critic, source), samples, source.training, source.names),
            ImageSpec(height=SIDE, width=SIDE, channels=1, low=LOW, high=HIGH),
            record,
            figures,
        )

    def _source(self, data: Path | None, cache: Path, latent_size: int) -> Source:
        """The family's own pictures, a set by its name, or a user's folder."""
        named = self.data if data is None else str(data)
        if data is not None and (data.is_dir() or named not in SETS):
            return own_pictures(data)
        return SETS[named](cache, latent_size)


def fashion_gan() -> DigitsGan:
    """The family of Fashion-MNIST."""
    return DigitsGan(
        name="fashion-gan",
        description="the same of 28×28 clothes, shoes and bags (or --data: digits, or your own folder of pictures)",
        data=FASHION,
    )


def _judge(source: Source, size: Size) -> DigitJudge | None:
    """A judge where the pictures are labelled; there is none for a user's own."""
    if source.labelled is None:
        return None
    known = source.labelled
    return DigitJudge.taught_by(known.training, known.held_out, size.players.latent_size, known.noun)


def _players(size: Size, settings: PlayerSettings, source: Source) -> Players:
    classes = len(source.names)
    generator = (
        ClassGenerator(classes, size.generator_width, settings.latent_size)
        if classes
        else Generator(size.generator_width, settings.latent_size)
    )
    critic = Critic(size.critic_width, max(1, classes))
    return Players(generator, critic, settings, partial(shift, reach=REACH, background=LOW))


def _exported(critic: nn.Module, source: Source) -> nn.Module:
    """The critic as its graph is to be: with class logits beside its realness, where it knows classes."""
    plain = with_plain_weights(critic)
    return ClassifyingCritic(plain) if source.names and isinstance(plain, Critic) else plain


def _shown(latent_size: int, classes: int) -> tuple[Tensor, ...]:
    """What the generator is shown to draw from: latents [SHOWN, D], and classes in turn where there are any."""
    latents = torch.randn(SHOWN, latent_size, generator=torch.Generator().manual_seed(0))
    return (latents, torch.arange(SHOWN) % classes) if classes else (latents,)


def _unwatched(generator: nn.Module) -> dict[str, float]:
    del generator
    return {}
