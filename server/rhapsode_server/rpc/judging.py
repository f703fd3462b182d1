"""ScoreImages: what a model finds of a client's pictures, by its critic or by how well it can draw them itself."""

from collections.abc import Sequence

import numpy as np

from rhapsode.v1 import image_pb2
from rhapsode.v1.bundle_pb2 import ImageSpec
from rhapsode_server.config import Config
from rhapsode_server.errors import OutputTooLarge, Unsupported
from rhapsode_server.models.critic import CriticRow, Judgement
from rhapsode_server.models.decoder import ImageRow, Pixels
from rhapsode_server.models.encoder import EncodeRow
from rhapsode_server.rpc.convert_images import BYTES_BESIDE, ImageJob, image_writer
from rhapsode_server.rpc.darkroom import Darkroom
from rhapsode_server.rpc.image_reply import News
from rhapsode_server.rpc.input_pictures import Taken
from rhapsode_server.rpc.served import CriticDriver, DecodeDriver, EncodeDriver, Served


def judges(served: Served) -> bool:
    """Whether a model can judge pictures: by a critic, or by an encoder whose latents it can decode without a class."""
    return served.critic is not None or _mirror(served) is not None


def check_scores(count: int, served: Served, config: Config) -> None:
    """Raise Unsupported where the model cannot judge, OutputTooLarge where so many scores would outgrow a message."""
    if not judges(served):
        raise Unsupported(f"{served.loaded.bundle.name} does not judge pictures")
    most = (config.message_bytes - 1024) // (4 * len(served.loaded.bundle.classes) + BYTES_BESIDE)
    if count > most:
        raise OutputTooLarge("images", f"must have at most {most} elements for this model", {"max_length": str(most)})


async def scores(
    pictures: Sequence[Taken], served: Served, darkroom: Darkroom, until: float
) -> Sequence[image_pb2.ImageScore]:
    """A score for each picture, in order."""
    mirror = _mirror(served)
    if served.critic is not None:
        return await _by_critic(pictures, served.critic, darkroom, until)
    if mirror is not None:
        return await _by_reconstruction(pictures, served, mirror, darkroom, until)
    raise Unsupported(f"{served.loaded.bundle.name} does not judge pictures")


async def _by_critic(
    pictures: Sequence[Taken], driver: CriticDriver, darkroom: Darkroom, until: float
) -> Sequence[image_pb2.ImageScore]:
    judgements = await darkroom.events(driver, [CriticRow(picture.values) for picture in pictures], until)
    return [_score(judgement, picture) for judgement, picture in zip(judgements, pictures, strict=True)]


def _score(judgement: Judgement, picture: Taken) -> image_pb2.ImageScore:
    return image_pb2.ImageScore(
        realness=judgement.realness,
        class_probabilities=judgement.probabilities.tolist(),
        anomaly=-judgement.realness,
        converted=picture.converted,
    )


async def _by_reconstruction(
    pictures: Sequence[Taken],
    served: Served,
    mirror: tuple[EncodeDriver, DecodeDriver],
    darkroom: Darkroom,
    until: float,
) -> Sequence[image_pb2.ImageScore]:
    """What an autoencoder has not learnt to draw it draws badly (Sakurada & Yairi 2014)."""
    encode, decode = mirror
    spec = served.loaded.bundle.image
    encoded = await darkroom.events(encode, [EncodeRow(picture.values) for picture in pictures], until)
    rows = [ImageRow(place, posterior.mean) for place, posterior in enumerate(encoded)]
    job = ImageJob(decode, rows, image_writer(image_pb2.IMAGE_FORMAT_UNSPECIFIED, served), latents=False)
    errors: list[float] = []

    async def compare(news: News) -> None:
        made = [picture.values for delivery in news for picture in delivery.events]
        given = [picture.values for picture in pictures[len(errors) : len(errors) + len(made)]]
        errors.extend(await darkroom.outside(mean_squares, given, made, spec))

    await darkroom.make(job, until, compare)
    return [
        image_pb2.ImageScore(anomaly=error, converted=picture.converted)
        for error, picture in zip(errors, pictures, strict=True)
    ]


def mean_squares(given: Sequence[Pixels], made: Sequence[Pixels], spec: ImageSpec) -> Sequence[float]:
    """The mean squared error of each picture, its values in 0…1; of each by itself, so that company changes no bit."""
    span = spec.high - spec.low
    return [
        float(np.square((one.astype(np.float64) - other.astype(np.float64)) / span).mean())
        for one, other in zip(given, made, strict=True)
    ]


def _mirror(served: Served) -> tuple[EncodeDriver, DecodeDriver] | None:
    """Both halves of an autoencoder."""
    if served.encode is None or served.decode is None or served.loaded.bundle.classes:
        return None
    return served.encode, served.decode
