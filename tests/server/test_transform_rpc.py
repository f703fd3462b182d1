"""TransformImages over a real socket, and transforms of tensors that are no pictures."""

import asyncio
from collections.abc import AsyncIterator
from io import BytesIO

import grpc
import numpy as np
import pytest
import pytest_asyncio
from onnx import helper
from PIL import Image

from rhapsode.v1 import image_pb2, model_pb2
from rhapsode.v1.image_pb2 import InputImage, TransformImagesRequest
from rhapsode.v1.model_pb2 import GetModelRequest, ListModelsRequest
from rhapsode_server.models.transform import TransformRow
from support import graphs
from support.bad_pictures import BAD_PICTURES
from support.bundles import TRANSFORM, Draft, cipher, transformer
from support.refusals import refusal
from support.server import Loaded, Running, load, running

RAW = image_pb2.IMAGE_FORMAT_RAW_FLOAT32
BAD, UNMET = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION

pytestmark = pytest.mark.asyncio(loop_scope="module")


def failing() -> Draft:
    """A transform that gives infinity for a white pixel, which is not among its goldens."""
    draft = transformer("tiny-failing")
    shape = (3, graphs.SIDE, graphs.SIDE)
    nodes = [
        helper.make_node("Sub", ["white", "image"], ["below"]),
        helper.make_node("Reciprocal", ["below"], ["transformed"]),
    ]
    draft.graphs[TRANSFORM] = graphs.model(
        nodes,
        [graphs.floats("image", *shape)],
        [graphs.floats("transformed", *shape)],
        {"white": np.array([5.0], np.float32)},
    )
    draft.bundle.image.high = 5.0
    return draft


@pytest.fixture(scope="module")
def transforms(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    folder = tmp_path_factory.mktemp("models")
    transformer().write(folder)
    cipher().write(folder)
    return load(folder)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(transforms: Loaded) -> AsyncIterator[Running]:
    async with running(transforms) as started:
        yield started


def picture(seed: int) -> InputImage:
    values = np.random.default_rng(seed).uniform(-1, 1, (8, 8, 3)).astype("<f4")
    return InputImage(data=values.tobytes(), format=RAW)


async def transform(server: Running, *pictures: InputImage, model: str = "tiny-mirror") -> list[bytes]:
    reply = await server.image.TransformImages(TransformImagesRequest(model=model, images=pictures, format=RAW))
    return [image.data for image in reply.images]


async def refused(server: Running, request: TransformImagesRequest) -> tuple[grpc.StatusCode, str, list[str]]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await server.image.TransformImages(request)
    said = refusal(caught.value)
    return caught.value.code(), said.info.reason, said.fields


async def test_pictures_become_what_the_graph_makes_of_them(server: Running, transforms: Loaded) -> None:
    model = transforms.models.find("tiny-mirror").transformer
    assert model is not None
    values = [np.frombuffer(picture(seed).data, "<f4").reshape(8, 8, 3).transpose(2, 0, 1) for seed in range(3)]
    outcomes = model.advance([TransformRow(each) for each in values])
    wanted = [outcome.events[0].values.transpose(1, 2, 0).tobytes() for outcome in outcomes]
    assert await transform(server, *(picture(seed) for seed in range(3))) == wanted
    assert len(set(wanted)) == 3


async def test_a_reply_says_what_made_it_and_what_was_converted(server: Running) -> None:
    large = BytesIO()
    Image.new("RGB", (40, 30), "red").save(large, "WEBP")
    request = TransformImagesRequest(model="tiny-mirror", images=[picture(1), InputImage(data=large.getvalue())])
    reply = await server.image.TransformImages(request)
    assert list(reply.converted) == [False, True]
    assert (reply.started.model, reply.started.version, reply.started.count) == ("tiny-mirror", 1, 2)
    assert (len(reply.started.fingerprint), reply.started.HasField("seed")) == (64, False)
    assert [image.index for image in reply.images] == [0, 1]
    assert [Image.open(BytesIO(image.data)).format for image in reply.images] == ["PNG", "PNG"]


async def test_company_changes_no_bit(server: Running) -> None:
    alone = [(await transform(server, picture(seed)))[0] for seed in range(40)]
    assert await transform(server, *(picture(seed) for seed in reversed(range(40)))) == alone[::-1]
    crowd = await asyncio.gather(
        *(transform(server, *(picture(seed) for seed in range(first, 40, 3))) for first in (0, 1, 2))
    )
    assert crowd == [alone[first::3] for first in (0, 1, 2)]


async def test_the_graph_has_metrics_of_its_own(transforms: Loaded) -> None:
    async with running(transforms, metrics_address="127.0.0.1:0") as server:
        await transform(server, picture(1), picture(2))
        page = await server.page()
    assert 'rhapsode_rows_per_run_sum{model="tiny-mirror",role="transform",version="1"} 2.0' in page
    assert 'rhapsode_items_generated_total{kind="image",model="tiny-mirror"} 2.0' in page


async def test_bad_requests_are_refused_with_the_field(server: Running) -> None:
    assert await refused(server, TransformImagesRequest(model="tiny-mirror")) == (BAD, "INVALID_FIELD", ["images"])
    many = TransformImagesRequest(model="tiny-mirror", images=[picture(1)] * 257)
    assert await refused(server, many) == (BAD, "INVALID_FIELD", ["images"])
    form = TransformImagesRequest(model="tiny-mirror", images=[picture(1)], format=77)  # type: ignore[arg-type]
    assert await refused(server, form) == (BAD, "INVALID_FIELD", ["format"])


@pytest.mark.parametrize("data", [data for _, data in BAD_PICTURES], ids=[name for name, _ in BAD_PICTURES])
async def test_a_bad_picture_is_refused(server: Running, data: bytes) -> None:
    request = TransformImagesRequest(model="tiny-mirror", images=[picture(1), InputImage(data=data)])
    assert await refused(server, request) == (BAD, "INVALID_FIELD", ["images[1].data"])
    assert await transform(server, picture(1))


async def test_a_reply_that_might_outgrow_a_message_is_refused(transforms: Loaded) -> None:
    async with running(transforms, message_bytes=65_536) as small:
        grey = InputImage(data=bytes(192), format=image_pb2.IMAGE_FORMAT_RAW_UINT8)
        raw = TransformImagesRequest(model="tiny-mirror", images=[grey] * 200, format=RAW)
        assert await refused(small, raw) == (BAD, "OUTPUT_TOO_LARGE", ["images"])
        raw.format = image_pb2.IMAGE_FORMAT_RAW_UINT8
        assert len((await small.image.TransformImages(raw)).images) == 200


async def test_a_transform_of_other_tensors_is_served_by_no_rpc_of_pictures(server: Running) -> None:
    listed = {model.name: model for model in (await server.model.ListModels(ListModelsRequest())).models}
    assert list(listed) == ["tiny-cipher", "tiny-mirror"]
    assert list(listed["tiny-cipher"].capabilities) == []
    assert listed["tiny-cipher"].runtime.batch_invariant
    request = TransformImagesRequest(model="tiny-cipher", images=[picture(1)])
    assert await refused(server, request) == (UNMET, "UNSUPPORTED", [])
    told = (await server.model.GetModel(GetModelRequest(model="tiny-mirror"))).model
    assert list(told.capabilities) == [model_pb2.CAPABILITY_TRANSFORM_IMAGES]
    assert told.limits.images_per_reply > 0


async def test_infinity_is_not_sent_on_and_its_neighbours_are(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("failing")
    failing().write(folder)
    async with running(load(folder)) as server:
        white = InputImage(data=np.full((8, 8, 3), 5.0, "<f4").tobytes(), format=RAW)
        request = TransformImagesRequest(model="tiny-failing", images=[picture(1), white])
        assert await refused(server, request) == (grpc.StatusCode.INTERNAL, "NON_FINITE_OUTPUT", [])
        assert await transform(server, picture(1), model="tiny-failing")
