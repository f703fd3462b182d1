"""The family digits-gan: a deep convolutional GAN of handwritten digits."""

from dataclasses import asdict, dataclass, replace
from functools import partial

import torch
from torch import nn

from rhapsode.v1.bundle_pb2 import ImageSpec, StopReason
from rhapsode_exporter.bundle.draft import BundleDraft
from rhapsode_exporter.data.digits import SIDE
from rhapsode_exporter.families.base import Order
from rhapsode_exporter.families.digits_source import HIGH, LOW, Source, mnist, own_pictures
from rhapsode_exporter.families.games import Exhibits, game_draft, pretraining_metric
from rhapsode_exporter.families.records import as_text, has_bfloat16, training_record
from rhapsode_exporter.judge.digits import DigitJudge
from rhapsode_exporter.loops.adversarial import AdversarialSettings, RealPictures, train
from rhapsode_exporter.loops.augment import shift
from rhapsode_exporter.loops.players import Players, PlayerSettings
from rhapsode_exporter.networks.dcgan import Critic, Generator
from rhapsode_exporter.networks.plain import with_plain_weights

SHOWN = 100
# The critic sees every picture moved by up to so many pixels, as there are few.
REACH = 1


@dataclass(frozen=True, slots=True)
class Size:
    """How large the players are, and how long they play."""

    generator_width: int
    critic_width: int
    steps: int
    players: PlayerSettings
    game: AdversarialSettings


FULL = Size(
    generator_width=32,
    critic_width=48,
    steps=10_000,
    players=PlayerSettings(latent_size=64, batch=32, generator_rate=4e-4, critic_rate=4e-4, spread=1.0),
    game=AdversarialSettings(pretraining=100, average_decay=0.998, evaluate_every=500),
)
QUICK = Size(
    generator_width=16,
    critic_width=16,
    steps=600,
    players=PlayerSettings(latent_size=64, batch=32, generator_rate=1e-3, critic_rate=1e-3, spread=1.0),
    game=AdversarialSettings(pretraining=50, average_decay=0.98, evaluate_every=200),
)


class DigitsGan:
    """DCGAN; by default of MNIST's digits."""

    name = "digits-gan"
    description = "deep convolutional GAN of 28×28 handwritten digits (or --data: your own folder of pictures)"
    schedules: tuple[str, ...] = ()
    measures_error = False

    def train(self, order: Order) -> BundleDraft | None:
        """Play the game, have the generator judged by a classifier of real digits, and describe both players."""
        size = QUICK if order.quick else FULL
        source = mnist(order.cache, size.players.latent_size) if order.data is None else own_pictures(order.data)
        judge = _judge(source, size)
        settings = replace(size.players, bfloat16=has_bfloat16())
        shape = {"generator_width": size.generator_width, "critic_width": size.critic_width, "reach": REACH}
        identity = as_text(asdict(settings) | asdict(size.game) | shape | {"data": source.identity})
        torch.manual_seed(order.seed)
        players = _players(size, settings, source)
        samples = torch.randn(SHOWN, settings.latent_size, generator=torch.Generator().manual_seed(0))
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
            Exhibits(played.generator, with_plain_weights(players.critic), samples, source.training),
            ImageSpec(height=SIDE, width=SIDE, channels=1, low=LOW, high=HIGH),
            record,
            figures,
        )


def _judge(source: Source, size: Size) -> DigitJudge | None:
    """A judge where the digits are labelled; there is none for a user's own pictures."""
    if source.labelled is None:
        return None
    return DigitJudge.taught_by(source.labelled.training, source.labelled.held_out, size.players.latent_size)


def _players(size: Size, settings: PlayerSettings, source: Source) -> Players:
    generator, critic = Generator(size.generator_width, settings.latent_size), Critic(size.critic_width, source.classes)
    return Players(generator, critic, settings, partial(shift, reach=REACH, background=LOW))


def _unwatched(generator: nn.Module) -> dict[str, float]:
    del generator
    return {}
