"""A request for a walk through latent space → its keyframes, and the rows between them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from rhapsode.v1 import image_pb2
from rhapsode_server.config import Config
from rhapsode_server.errors import InvalidField
from rhapsode_server.models.latents import Interpolation, Latent, lerp, slerp, walk, walk_length
from rhapsode_server.rpc.convert_images import ImageJob, fitting, image_writer, maker, stated_class
from rhapsode_server.rpc.keyframes import Keyframes, keyframes
from rhapsode_server.rpc.served import MakeRow, Served

LATENT_BYTES = 64 << 20  # of the latents of one walk, which are all there before the first of them is decoded
FRAMES = 16  # from a keyframe up to the next, where the request does not say

_WAYS: Mapping[image_pb2.InterpolationMethod.ValueType, Interpolation] = MappingProxyType(
    {
        image_pb2.INTERPOLATION_METHOD_UNSPECIFIED: lerp,
        image_pb2.INTERPOLATION_METHOD_LERP: lerp,
        image_pb2.INTERPOLATION_METHOD_SLERP: slerp,
    }
)


@dataclass(frozen=True, slots=True)
class Walk:
    """A walk whose request fits the model."""

    asked: image_pb2.InterpolateImagesRequest
    keyframes: Keyframes
    frame: ImageJob
    """The job without its rows."""
    make: MakeRow
    class_id: int | None
    count: int
    """Pictures of the whole walk."""

    def job(self, latents: Sequence[Latent]) -> ImageJob:
        """The job, once every keyframe is a latent."""
        points = walk(latents, _WAYS[self.asked.method], frames(self.asked), self.asked.loop)
        rows = [self.make(place, point, self.class_id, ()) for place, point in enumerate(points)]
        return ImageJob(self.frame.driver, rows, self.frame.writer, self.frame.latents)


def walk_plan(asked: image_pb2.InterpolateImagesRequest, served: Served, config: Config) -> Walk:
    """Read a request that is within its bounds. Raises RequestError where it does not fit the model or the server."""
    driver, make = maker(served)
    count = walk_length(len(asked.keyframes), frames(asked), asked.loop)
    most = min(config.max_images_per_stream, LATENT_BYTES // (4 * served.loaded.bundle.latent.size))
    if count > most:
        rule = f"must give a walk of at most {most} pictures, not {count}"
        raise InvalidField("frames_per_segment", rule, {"max": str(most), "count": str(count)})
    class_id = stated_class(asked.HasField("image_class"), asked.image_class, served)
    visited = keyframes(asked.keyframes, served, "keyframes")
    frame = ImageJob(driver, (), image_writer(asked.format, served), asked.return_latents)
    return Walk(asked, visited, fitting(frame, served, config), make, class_id, count)


def frames(asked: image_pb2.InterpolateImagesRequest) -> int:
    """Pictures from a keyframe up to, not including, the next."""
    return asked.frames_per_segment if asked.HasField("frames_per_segment") else FRAMES
