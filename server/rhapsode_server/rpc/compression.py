"""Pictures → payloads of their codes, and back."""

from rhapsode.v1 import image_pb2
from rhapsode_server.config import Config
from rhapsode_server.errors import OutputTooLarge, Unsupported
from rhapsode_server.models.codec import Codec
from rhapsode_server.models.decoder import ImageRow
from rhapsode_server.observe.logs import note
from rhapsode_server.rpc.convert_images import BYTES_BESIDE, ImageJob, check_pictures_fit, decoder, image_writer
from rhapsode_server.rpc.darkroom import Darkroom
from rhapsode_server.rpc.input_pictures import picture_fields
from rhapsode_server.rpc.keyframes import encoder
from rhapsode_server.rpc.served import Served


async def compress(
    asked: image_pb2.CompressImagesRequest, served: Served, darkroom: Darkroom, config: Config, until: float
) -> image_pb2.CompressImagesResponse:
    """Encode pictures, and write their codes."""
    codec, driver = _codec(served), encoder(served)
    most = (config.message_bytes - 1024) // (codec.most_bytes + BYTES_BESIDE)
    if len(asked.images) > most:
        raise OutputTooLarge("images", f"must have at most {most} elements for this model", {"max_length": str(most)})
    readings = await darkroom.encode(driver, picture_fields(asked.images), served, until)
    note(items=len(readings))
    payloads = await darkroom.in_turns(codec.compress, [reading.encoded.mean for reading in readings], until)
    return image_pb2.CompressImagesResponse(
        model=served.loaded.bundle.name,
        version=served.loaded.bundle.version,
        fingerprint=served.loaded.fingerprint,
        compressed=[
            image_pb2.CompressedImage(payload=payload, converted=reading.converted)
            for payload, reading in zip(payloads, readings, strict=True)
        ],
    )


async def decompression(
    asked: image_pb2.DecompressImagesRequest, served: Served, darkroom: Darkroom, config: Config, until: float
) -> ImageJob:
    """Read codes as the rows that the decoder steps. Raises InvalidField for one that this model did not make."""
    codec, driver, chosen = _codec(served), decoder(served), image_writer(asked.format, served)
    check_pictures_fit(len(asked.compressed), "compressed", chosen, served, config)
    places = range(len(asked.compressed))
    with darkroom.place(served, (len(each.payload) for each in asked.compressed)):
        latents = await darkroom.in_turns(
            lambda place: codec.decompress(asked.compressed[place].payload, f"compressed[{place}].payload"),
            places,
            until,
        )
    rows = [ImageRow(place, latent) for place, latent in enumerate(latents)]
    return ImageJob(driver, rows, chosen, latents=False)


def _codec(served: Served) -> Codec:
    if served.loaded.codec is None:
        raise Unsupported(f"{served.loaded.bundle.name} does not compress pictures")
    return served.loaded.codec
