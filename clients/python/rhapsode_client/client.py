"""The client for synchronous code."""

from collections.abc import Sequence
from typing import Unpack

from rhapsode.v1 import image_pb2, model_pb2, text_pb2
from rhapsode.v1.image_pb2_grpc import ImageServiceStub
from rhapsode.v1.model_pb2_grpc import ModelServiceStub
from rhapsode.v1.text_pb2_grpc import TextServiceStub
from rhapsode_client.addresses import Address
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
from rhapsode_client.link import Link
from rhapsode_client.resume.images import (
    ImagesPlan,
    rest_of_decoding,
    rest_of_edits,
    rest_of_generation,
    rest_of_walk,
)
from rhapsode_client.resume.text import TextPlan
from rhapsode_client.streams import ImageStream, TextStream
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


class Client(Link):
    """A connection to one server, or to the replicas behind one name; may be used by many threads at a time.

    `address` is "host:port", "dns:///host:port", "unix:path" or several of "ip:port"; nothing is sent before the first
    call. Every method takes `timeout`, seconds for the whole call (None: the server's own limit), and raises
    RhapsodeError.
    """

    def __init__(self, address: Address = DEFAULT_ADDRESS, settings: ChannelSettings = DEFAULT_SETTINGS) -> None:
        super().__init__(address, settings)
        self._text = TextServiceStub(self._channel)
        self._images = ImageServiceStub(self._channel)
        self._models = ModelServiceStub(self._channel)

    def models(self, *, timeout: float | None = None) -> tuple[Model, ...]:
        """Every model, sorted by name, without its tokens."""
        reply = self._unary(self._models.ListModels, model_pb2.ListModelsRequest(), timeout)
        return tuple(models.model(message) for message in reply.models)

    def model(self, name: str, *, timeout: float | None = None) -> Model:
        """The model of a name, "name", "name@version" or "name@alias"."""
        request = model_pb2.GetModelRequest(model=scalars.text("model", name))
        return models.model(self._unary(self._models.GetModel, request, timeout).model)

    def generate_text(
        self, model: str, prompt: Prompt = "", *, timeout: float | None = None, **options: Unpack[TextOptions]
    ) -> TextResult:
        """Text, when all of it is done; `prompt` is text or token ids."""
        request = text_pb2.GenerateTextRequest(generation=text.generation(model, prompt, options))
        return text.result(self._unary(self._text.GenerateText, request, timeout))

    def stream_text(
        self, model: str, prompt: Prompt = "", *, timeout: float | None = None, **options: Unpack[TextOptions]
    ) -> TextStream:
        """Text as it comes. A broken stream goes on by itself, exactly where it broke; see Stream."""
        request = text_pb2.StreamTextRequest(generation=text.generation(model, prompt, options))
        return TextStream(self._text.StreamText, TextPlan(request), self._call(timeout))

    def score(
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
        return score.result(self._unary(self._text.ScoreText, request, timeout))

    def classify_text(
        self, model: str, inputs: Sequence[Prompt], *, timeout: float | None = None
    ) -> ClassificationsResult:
        """Of which class texts are, each text or token ids, by a critic of texts."""
        request = classify.request(model, inputs)
        return classify.result(self._unary(self._text.ClassifyText, request, timeout))

    def tokenize(self, model: str, inputs: Sequence[Prompt], *, timeout: float | None = None) -> TokenizeResult:
        """Texts cut into a model's tokens, or tokens put together; each input is text or token ids."""
        return tokens.result(self._unary(self._text.TokenizeText, tokens.request(model, inputs), timeout))

    def generate_images(
        self, model: str, *, timeout: float | None = None, **options: Unpack[ImageOptions]
    ) -> ImagesResult:
        """Pictures, when all are done. Raises OutputTooLarge where they do not fit one message."""
        request = image_pb2.GenerateImagesRequest(generation=images.generation(model, options))
        return images.result(self._unary(self._images.GenerateImages, request, timeout))

    def stream_images(
        self,
        model: str,
        *,
        timeout: float | None = None,
        on_preview: OnPreview | None = None,
        **options: Unpack[ImageOptions],
    ) -> ImageStream:
        """Pictures as they come, in order, however many. A broken stream goes on by itself; see Stream.

        `on_preview` is called with each preview that was asked for, by whoever waits for the next picture meanwhile.
        """
        request = image_pb2.StreamImagesRequest(generation=images.generation(model, options))
        plan = ImagesPlan(request, rest_of_generation, on_preview)
        return ImageStream(self._images.StreamImages, plan, self._call(timeout))

    def interpolate(
        self, model: str, keyframes: Sequence[Keyframe], *, timeout: float | None = None, **options: Unpack[WalkOptions]
    ) -> ImageStream:
        """The pictures of a walk through latent space, from keyframe to keyframe, two at least."""
        plan = ImagesPlan(images.walk(model, keyframes, options), rest_of_walk)
        return ImageStream(self._images.InterpolateImages, plan, self._call(timeout))

    def edit_images(
        self,
        model: str,
        sources: Sequence[Keyframe],
        changes: Sequence[Edit] = (),
        *,
        timeout: float | None = None,
        **options: Unpack[EditOptions],
    ) -> ImageStream:
        """Pictures after moves in latent space, in the order of `sources`: each source's own, then `changes`."""
        plan = ImagesPlan(images.edit_request(model, sources, changes, options), rest_of_edits)
        return ImageStream(self._images.EditImages, plan, self._call(timeout))

    def fit_attribute(
        self,
        model: str,
        present: Sequence[PictureInput],
        absent: Sequence[PictureInput],
        *,
        timeout: float | None = None,
    ) -> FittedAttribute:
        """The direction from pictures without an attribute to pictures with it, from one of each upward."""
        request = edits.fit_request(model, present, absent)
        return edits.fitted(self._unary(self._images.FitAttribute, request, timeout))

    def encode_images(
        self, model: str, pictures: Sequence[PictureInput], *, timeout: float | None = None
    ) -> tuple[Encoding, ...]:
        """Where pictures lie in latent space, in their order."""
        request = images.encode_request(model, pictures)
        return images.encodings(self._unary(self._images.EncodeImages, request, timeout))

    def score_images(
        self, model: str, pictures: Sequence[PictureInput], *, timeout: float | None = None
    ) -> ImageScoresResult:
        """How real pictures are, of which class, and how strange, in their order."""
        request = image_scores.request(model, pictures)
        return image_scores.result(self._unary(self._images.ScoreImages, request, timeout))

    def decode_latents(
        self,
        model: str,
        latents: LatentsInput,
        *,
        image_class: ImageClass | None = None,
        format: ImageFormat = ImageFormat.PNG,  # noqa: A002 - the word of the wire
        timeout: float | None = None,
    ) -> ImageStream:
        """The pictures of latents [count, size], in their order, as they come."""
        plan = ImagesPlan(images.decode_request(model, latents, image_class, format), rest_of_decoding)
        return ImageStream(self._images.DecodeLatents, plan, self._call(timeout))

    def compress_images(
        self, model: str, pictures: Sequence[PictureInput], *, timeout: float | None = None
    ) -> tuple[CompressedPicture, ...]:
        """Pictures as codes of few bytes, in their order."""
        request = exchange.compress_request(model, pictures)
        return exchange.compressed_pictures(self._unary(self._images.CompressImages, request, timeout))

    def decompress_images(
        self,
        model: str,
        compressed: Sequence[CompressedPicture | bytes],
        *,
        format: ImageFormat = ImageFormat.PNG,  # noqa: A002 - the word of the wire
        timeout: float | None = None,
    ) -> ImagesResult:
        """The pictures of codes, made by the model that made these. Raises UnreadablePayload for any other."""
        request = exchange.decompress_request(model, compressed, format)
        return exchange.decompressed(self._unary(self._images.DecompressImages, request, timeout))

    def transform_images(
        self,
        model: str,
        pictures: Sequence[PictureInput],
        *,
        format: ImageFormat = ImageFormat.PNG,  # noqa: A002 - the word of the wire
        timeout: float | None = None,
    ) -> TransformResult:
        """What a model makes of pictures, in their order: restored, or in another style."""
        request = exchange.transform_request(model, pictures, format)
        return exchange.transformed(self._unary(self._images.TransformImages, request, timeout))
