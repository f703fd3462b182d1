"""Pictures → pictures."""

from rhapsode.v1 import image_pb2
from rhapsode_server.config import Config
from rhapsode_server.errors import Unsupported
from rhapsode_server.observe.logs import note
from rhapsode_server.rpc.convert_images import check_pictures_fit, image_writer
from rhapsode_server.rpc.darkroom import Darkroom
from rhapsode_server.rpc.image_reply import fill
from rhapsode_server.rpc.input_pictures import picture_fields
from rhapsode_server.rpc.served import Served, TransformDriver


async def transform(
    asked: image_pb2.TransformImagesRequest, served: Served, darkroom: Darkroom, config: Config, until: float
) -> image_pb2.TransformImagesResponse:
    """Transform pictures, and answer when all are done."""
    driver, chosen = _transformer(served), image_writer(asked.format, served)
    check_pictures_fit(len(asked.images), "images", chosen, served, config)
    changed = await darkroom.transform(driver, picture_fields(asked.images), served, until)
    note(items=len(changed))
    data = await darkroom.write(chosen, [one.transformed.values for one in changed])
    begun = image_pb2.ImagesStarted(
        model=served.loaded.bundle.name,
        version=served.loaded.bundle.version,
        fingerprint=served.loaded.fingerprint,
        count=len(changed),
    )
    reply = image_pb2.TransformImagesResponse(started=begun, converted=[one.converted for one in changed])
    for index, each in enumerate(data):
        fill(reply.images.add(), index, chosen, each)
    return reply


def _transformer(served: Served) -> TransformDriver:
    if served.transform is None:
        raise Unsupported(f"{served.loaded.bundle.name} does not turn pictures into pictures")
    return served.transform
