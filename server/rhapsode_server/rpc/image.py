"""rhapsode.v1.ImageService."""

from collections.abc import Sequence

from rhapsode.v1 import image_pb2
from rhapsode_server.config import Config
from rhapsode_server.models.attributes import fit
from rhapsode_server.models.latents import Latent
from rhapsode_server.observe.logs import note
from rhapsode_server.rpc.call import Call
from rhapsode_server.rpc.catalog import Catalog
from rhapsode_server.rpc.compression import compress, decompression
from rhapsode_server.rpc.contest import umpire, winners
from rhapsode_server.rpc.convert_edits import edit_plan, fit_fields, fitted
from rhapsode_server.rpc.convert_images import (
    ImageJob,
    check_encodings_fit,
    decoding_job,
    generation_job,
)
from rhapsode_server.rpc.convert_walks import walk_plan
from rhapsode_server.rpc.darkroom import Darkroom
from rhapsode_server.rpc.deadlines import deadline
from rhapsode_server.rpc.image_reply import Sender, encoding, gather, started
from rhapsode_server.rpc.input_pictures import picture_fields
from rhapsode_server.rpc.judging import check_scores, scores
from rhapsode_server.rpc.keyframes import Keyframes, encoder
from rhapsode_server.rpc.routes import Service, service
from rhapsode_server.rpc.served import Served
from rhapsode_server.rpc.transformation import transform


class ImageService:
    """Makes pictures: every rpc reads its request as a job, has it done, and sends what comes."""

    def __init__(self, catalog: Catalog, config: Config, darkroom: Darkroom) -> None:
        self._catalog = catalog
        self._config = config
        self._darkroom = darkroom

    def service(self) -> Service:
        """What to register."""
        return service(image_pb2.DESCRIPTOR.services_by_name["ImageService"], self)

    async def GenerateImages(
        self, request: image_pb2.GenerateImagesRequest, call: Call
    ) -> image_pb2.GenerateImagesResponse:
        """Sample pictures, and answer when all are done."""
        served = self._find(request.generation.model)
        until = deadline(call, self._config)
        job = await self._read(request.generation, served, until, one_reply=True)
        reply = image_pb2.GenerateImagesResponse(started=started(job, served.loaded))
        await self._darkroom.develop(job, until, gather(reply.images))
        return reply

    async def StreamImages(self, request: image_pb2.StreamImagesRequest, call: Call) -> None:
        """Sample pictures, and write them as they come."""
        served = self._find(request.generation.model)
        until = deadline(call, self._config)
        job = await self._read(request.generation, served, until, one_reply=False)
        sender = Sender(call.write, image_pb2.StreamImagesResponse, started(job, served.loaded), self._config)
        await self._darkroom.develop(job, until, sender.send)

    async def InterpolateImages(self, request: image_pb2.InterpolateImagesRequest, call: Call) -> None:
        """Walk through latent space, a picture a message."""
        served = self._find(request.model)
        until = deadline(call, self._config)
        plan = walk_plan(request, served, self._config)
        latents = await self._latents(plan.keyframes, served, until)
        job = await self._darkroom.prepare(plan.count, plan.job, latents)
        sender = Sender(call.write, image_pb2.InterpolateImagesResponse, started(job, served.loaded), self._config)
        await self._darkroom.develop(job, until, sender.send_each)

    async def EditImages(self, request: image_pb2.EditImagesRequest, call: Call) -> None:
        """Move pictures in latent space, and write them as they come."""
        served = self._find(request.model)
        until = deadline(call, self._config)
        plan = edit_plan(request, served, self._config)
        job = plan.job(await self._latents(plan.sources, served, until))
        sender = Sender(call.write, image_pb2.EditImagesResponse, started(job, served.loaded), self._config)
        await self._darkroom.develop(job, until, sender.send)

    async def FitAttribute(self, request: image_pb2.FitAttributeRequest, call: Call) -> image_pb2.FitAttributeResponse:
        """Say which way in latent space leads to an attribute."""
        served = self._find(request.model)
        driver = encoder(served)
        fields = fit_fields(request, served, self._config)
        readings = await self._darkroom.encode(driver, fields, served, deadline(call, self._config))
        note(items=len(readings))
        means = [reading.encoded.mean for reading in readings]
        present = len(request.present)
        return fitted(await self._darkroom.outside(fit, means[:present], means[present:]), served)

    async def EncodeImages(self, request: image_pb2.EncodeImagesRequest, call: Call) -> image_pb2.EncodeImagesResponse:
        """Say where pictures lie in latent space."""
        served = self._find(request.model)
        driver = encoder(served)
        check_encodings_fit(len(request.images), served, self._config)
        fields = picture_fields(request.images)
        readings = await self._darkroom.encode(driver, fields, served, deadline(call, self._config))
        note(items=len(readings))
        return image_pb2.EncodeImagesResponse(
            model=served.loaded.bundle.name,
            version=served.loaded.bundle.version,
            fingerprint=served.loaded.fingerprint,
            encodings=[encoding(reading.encoded, reading.converted) for reading in readings],
        )

    async def DecodeLatents(self, request: image_pb2.DecodeLatentsRequest, call: Call) -> None:
        """Decode latents, and write their pictures as they come."""
        served = self._find(request.model)
        job = decoding_job(request, served, self._config)
        sender = Sender(call.write, image_pb2.DecodeLatentsResponse, started(job, served.loaded), self._config)
        await self._darkroom.develop(job, deadline(call, self._config), sender.send)

    async def ScoreImages(self, request: image_pb2.ScoreImagesRequest, call: Call) -> image_pb2.ScoreImagesResponse:
        """Say how real pictures are, of which class, and how strange."""
        served = self._find(request.model)
        until = deadline(call, self._config)
        check_scores(len(request.images), served, self._config)
        pictures = await self._darkroom.read(picture_fields(request.images), served, until)
        note(items=len(pictures))
        return image_pb2.ScoreImagesResponse(
            model=served.loaded.bundle.name,
            version=served.loaded.bundle.version,
            fingerprint=served.loaded.fingerprint,
            scores=await scores(pictures, served, self._darkroom, until),
        )

    async def CompressImages(
        self, request: image_pb2.CompressImagesRequest, call: Call
    ) -> image_pb2.CompressImagesResponse:
        """Write pictures as codes of few bytes."""
        served = self._find(request.model)
        return await compress(request, served, self._darkroom, self._config, deadline(call, self._config))

    async def DecompressImages(
        self, request: image_pb2.DecompressImagesRequest, call: Call
    ) -> image_pb2.DecompressImagesResponse:
        """Make the pictures of codes."""
        served = self._find(request.model)
        until = deadline(call, self._config)
        job = await decompression(request, served, self._darkroom, self._config, until)
        reply = image_pb2.DecompressImagesResponse(started=started(job, served.loaded))
        await self._darkroom.develop(job, until, gather(reply.images))
        return reply

    async def TransformImages(
        self, request: image_pb2.TransformImagesRequest, call: Call
    ) -> image_pb2.TransformImagesResponse:
        """Turn pictures into others."""
        served = self._find(request.model)
        return await transform(request, served, self._darkroom, self._config, deadline(call, self._config))

    def _find(self, reference: str) -> Served:
        served = self._catalog.find(reference)
        note(model=served.loaded.name, model_version=served.loaded.version)
        return served

    async def _read(self, asked: image_pb2.ImageGeneration, served: Served, until: float, one_reply: bool) -> ImageJob:
        """The job of a request; where the best of many are kept, once it is known which they are."""
        rows = max(asked.count, asked.keep_best.drawn)
        if not asked.HasField("keep_best"):
            return await self._darkroom.prepare(rows, generation_job, asked, served, self._config, one_reply)
        judge = umpire(asked.keep_best, served, self._catalog)
        drawn = await self._darkroom.prepare(rows, generation_job, asked, served, self._config, one_reply)
        return await winners(asked, drawn, served, judge, self._darkroom, until)

    async def _latents(self, keyframes: Keyframes, served: Served, until: float) -> Sequence[Latent]:
        """All keyframes as latents: pictures are encoded to their means."""
        if not keyframes.pictures:
            return keyframes.latents(())
        readings = await self._darkroom.encode(encoder(served), keyframes.pictures, served, until)
        return keyframes.latents(reading.encoded.mean for reading in readings)
