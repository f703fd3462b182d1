"""Which model a request is for, whatever its type calls it."""

import pytest

from rhapsode.oip import inference_pb2 as oip
from rhapsode.v1 import image_pb2, model_pb2, text_pb2
from rhapsode_server.rpc.references import reference_of

UNLOAD, LOAD = oip.RepositoryModelUnloadRequest, oip.RepositoryModelLoadRequest


@pytest.mark.parametrize(
    ("request_", "reference"),
    [
        (text_pb2.GenerateTextRequest(generation=text_pb2.TextGeneration(model="a@2")), "a@2"),
        (image_pb2.EncodeImagesRequest(model="a"), "a"),
        (model_pb2.GetModelRequest(model="a@stable"), "a@stable"),
        (model_pb2.ListModelsRequest(), ""),
        (oip.ModelInferRequest(model_name="a.b.decode", model_version="2"), "a.b@2"),
        (oip.ModelMetadataRequest(name="a.decode", version="stable"), "a@stable"),
        (oip.ModelConfigRequest(name="a.decode"), "a"),
        (oip.ModelStatisticsRequest(name="a.decode", version="1"), "a@1"),
        (oip.ModelStatisticsRequest(), ""),
        (oip.ModelReadyRequest(name="a.decode", version="1"), "a@1"),
        (LOAD(model_name="a"), "a"),
        (LOAD(model_name="a.decode"), "a"),
        (UNLOAD(model_name="a.b"), "a.b"),
        (UNLOAD(model_name="a.b.critic"), "a.b"),
        (oip.RepositoryIndexRequest(), ""),
        (b"bytes", ""),
    ],
    ids=repr,
)
def test_the_reference(request_: object, reference: str) -> None:
    assert reference_of(request_) == reference


def test_every_request_that_names_a_model_is_known() -> None:
    named = [
        message
        for name, message in oip.DESCRIPTOR.message_types_by_name.items()
        if name.endswith("Request") and {"name", "model_name"}.intersection(message.fields_by_name)
    ]
    assert len(named) == 7
    for message in named:
        field = next(each for each in ("model_name", "name") if each in message.fields_by_name)
        assert reference_of(getattr(oip, message.name)(**{field: "a.decode"})) == "a", message.name
