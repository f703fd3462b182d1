"""The client for asyncio."""

# ruff: noqa: ASYNC109 - a timeout here is gRPC's deadline, which travels to the server; asyncio.timeout would not

from collections.abc import Sequence
from typing import Unpack

from rhapsode.v1 import image_pb2, model_pb2, text_pb2
from rhapsode.v1.image_pb2_grpc import ImageServiceStub
from rhapsode.v1.model_pb2_grpc import ModelServiceStub
from rhapsode.v1.text_pb2_grpc import TextServiceStub
from rhapsode_client.addresses import Address
from rhapsode_client.aio_link import AsyncLink
from rhapsode_client.aio_streams import AsyncImageStream, AsyncTextStream
from rhapsode_client.channel import DEFAULT_ADDRESS, DEFAULT_SETTINGS, ChannelSettings
from rhapsode_client.convert import (
    classify,
    edits,
    exchange,
    image_scores,
    images,
    models,
    scalars,
    score,
    text,
    tokens,
)
from rhapsode_client.resume.images import (
    ImagesPlan,
    rest_of_decoding,
    rest_of_edits,
    rest_of_generation,
    rest_of_walk,
)
from rhapsode_client.resume.text import TextPlan
from rhapsode_client.types import (
    ClassificationsResult,
    CompressedPicture,
    Edit,
    EditOptions,
    Encoding,
    FittedAttribute,
    ImageClass,
    ImageFormat,
    ImageOptions,
    ImageScoresResult,
    ImagesResult,
    Keyframe,
    LatentsInput,
    Model,
    OnPreview,
    PictureInput,
    Prompt,
    ScoreResult,
    TextOptions,
    TextResult,
    TokenizeResult,
    TransformResult,
    WalkOptions,
)


class AsyncClient(AsyncLink):
    """What `Client` is, for asyncio: the same methods with the same arguments and errors. Unary methods are awaited,
    streaming ones give an asynchronous iterator at once. Make it inside a running event loop, which it is bound to.
    """

    def __init__(self, address: Address = DEFAULT_ADDRESS, settings: ChannelSettings = DEFAULT_SETTINGS) -> None:
        super().__init__(address, settings)
        self._text = TextServiceStub(self._channel)
        self._images = ImageServiceStub(self._channel)
        self._models = ModelServiceStub(self._channel)

    async def models(self, *, timeout: float | None = None) -> tuple[Model, ...]:
        """Every model, sorted by name, without its tokens."""
        reply = await self._unary(self._models.ListModels, model_pb2.ListModelsRequest(), timeout)
        return tuple(models.model(message) for message in reply.models)

    async def model(self, name: str, *, timeout: float | None = None) -> Model:
        """The model of a name, "name", "name@version" or "name@alias"."""
        request = model_pb2.GetModelRequest(model=scalars.text("model", name))
        return models.model((await self._unary(self._models.GetModel, request, timeout)).model)

    async def generate_text(
        self, model: str, prompt: Prompt = "", *, timeout: float | None = None, **options: Unpack[TextOptions]
    ) -> TextResult:
        """Text, when all of it is done; `prompt` is text or token ids."""
        request = text_pb2.GenerateTextRequest(generation=text.generation(model, prompt, options))
        return text.result(await self._unary(self._text.GenerateText, request, timeout))

    def stream_text(
        self, model: str, prompt: Prompt = "", *, timeout: float | None = None, **options: Unpack[TextOptions]
    ) -> AsyncTextStream:
        """Text as it comes. A broken stream goes on by itself, exactly where it broke; see AsyncStream."""
        request = text_pb2.StreamTextRequest(generation=text.generation(model, prompt, options))
        return AsyncTextStream(self._text.StreamText, TextPlan(request), self._call(timeout))

    async def score(
        self,
        model: str,
        inputs: Sequence[Prompt],
        *,
        top_logprobs: int = 0,
        class_name: str = "",
        timeout: float | None = None,
    ) -> ScoreResult:
        """How likely texts are, each text or token ids; with the `top_logprobs` likeliest tokens in each place.

        `class_name` is a class of the model's whose texts they are taken for.
        """
        request = score.request(model, inputs, top_logprobs, class_name)
        return score.result(await self._unary(self._text.ScoreText, request, timeout))

    async def classify_text(
        self, model: str, inputs: Sequence[Prompt], *, timeout: float | None = None
    ) -> ClassificationsResult:
        """Of which class texts are, each text or token ids, by a critic of texts."""
        request = classify.request(model, inputs)
        return classify.result(await self._unary(self._text.ClassifyText, request, timeout))

    async def tokenize(self, model: str, inputs: Sequence[Prompt], *, timeout: float | None = None) -> TokenizeResult:
        """Texts cut into a model's tokens, or tokens put together; each input is text or token ids."""
        return tokens.result(await self._unary(self._text.TokenizeText, tokens.request(model, inputs), timeout))

    async def generate_images(
        self, model: str, *, timeout: float | None = None, **options: Unpack[ImageOptions]
    ) -> ImagesResult:
        """Pictures, when all are done. Raises OutputTooLarge where they do not fit one message."""
        request = image_pb2.GenerateImagesRequest(generation=images.generation(model, options))
        return images.result(await self._unary(self._images.GenerateImages, request, timeout))

    def stream_images(
        self,
        model: str,
        *,
        timeout: float | None = None,
        on_preview: OnPreview | None = None,
        **options: Unpack[ImageOptions],
    ) -> AsyncImageStream:
        """Pictures as they come, in order, however many. A broken stream goes on by itself; see AsyncStream.

        `on_preview` is called with each preview that was asked for, by whoever waits for the next picture meanwhile.
        """
        request = image_pb2.StreamImagesRequest(generation=images.generation(model, options))
        plan = ImagesPlan(request, rest_of_generation, on_preview)
        return AsyncImageStream(self._images.StreamImages, plan, self._call(timeout))

    def interpolate(
        self, model: str, keyframes: Sequence[Keyframe], *, timeout: float | None = None, **options: Unpack[WalkOptions]
    ) -> AsyncImageStream:
        """The pictures of a walk through latent space, from keyframe to keyframe, two at least."""
        plan = ImagesPlan(images.walk(model, keyframes, options), rest_of_walk)
        return AsyncImageStream(self._images.InterpolateImages, plan, self._call(timeout))

    def edit_images(
        self,
        model: str,
        sources: Sequence[Keyframe],
        changes: Sequence[Edit] = (),
        *,
        timeout: float | None = None,
        **options: Unpack[EditOptions],
    ) -> AsyncImageStream:
        """Pictures after moves in latent space, in the order of `sources`: each source's own, then `changes`."""
        plan = ImagesPlan(images.edit_request(model, sources, changes, options), rest_of_edits)
        return AsyncImageStream(self._images.EditImages, plan, self._call(timeout))

    async def fit_attribute(
        self,
        model: str,
        present: Sequence[PictureInput],
        absent: Sequence[PictureInput],
        *,
        timeout: float | None = None,
    ) -> FittedAttribute:
        """The direction from pictures without an attribute to pictures with it, from one of each upward."""
        request = edits.fit_request(model, present, absent)
        return edits.fitted(await self._unary(self._images.FitAttribute, request, timeout))

    async def encode_images(
        self, model: str, pictures: Sequence[PictureInput], *, timeout: float | None = None
    ) -> tuple[Encoding, ...]:
        """Where pictures lie in latent space, in their order."""
        request = images.encode_request(model, pictures)
        return images.encodings(await self._unary(self._images.EncodeImages, request, timeout))

    async def score_images(
        self, model: str, pictures: Sequence[PictureInput], *, timeout: float | None = None
    ) -> ImageScoresResult:
        """How real pictures are, of which class, and how strange, in their order."""
        request = image_scores.request(model, pictures)
        return image_scores.result(await self._unary(self._images.ScoreImages, request, timeout))

    def decode_latents(
        self,
        model: str,
        latents: LatentsInput,
        *,
        image_class: ImageClass | None = None,
        format: ImageFormat = ImageFormat.PNG,  # noqa: A002 - the word of the wire
        timeout: float | None = None,
    ) -> AsyncImageStream:
        """The pictures of latents [count, size], in their order, as they come."""
        plan = ImagesPlan(images.decode_request(model, latents, image_class, format), rest_of_decoding)
        return AsyncImageStream(self._images.DecodeLatents, plan, self._call(timeout))

    async def compress_images(
        self, model: str, pictures: Sequence[PictureInput], *, timeout: float | None = None
    ) -> tuple[CompressedPicture, ...]:
        """Pictures as codes of few bytes, in their order."""
        request = exchange.compress_request(model, pictures)
        return exchange.compressed_pictures(await self._unary(self._images.CompressImages, request, timeout))

    async def decompress_images(
        self,
        model: str,
        compressed: Sequence[CompressedPicture | bytes],
        *,
        format: ImageFormat = ImageFormat.PNG,  # noqa: A002 - the word of the wire
        timeout: float | None = None,
    ) -> ImagesResult:
        """The pictures of codes, made by the model that made these. Raises UnreadablePayload for any other."""
        request = exchange.decompress_request(model, compressed, format)
        return exchange.decompressed(await self._unary(self._images.DecompressImages, request, timeout))

    async def transform_images(
        self,
        model: str,
        pictures: Sequence[PictureInput],
        *,
        format: ImageFormat = ImageFormat.PNG,  # noqa: A002 - the word of the wire
        timeout: float | None = None,
    ) -> TransformResult:
        """What a model makes of pictures, in their order: restored, or in another style."""
        request = exchange.transform_request(model, pictures, format)
        return exchange.transformed(await self._unary(self._images.TransformImages, request, timeout))
