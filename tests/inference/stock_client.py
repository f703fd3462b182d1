"""A program that knows tritonclient and nothing of Rhapsode: asks the server at an address, and prints what it got.

It has to be a process of its own: the messages of tritonclient and ours have the same names.
"""

import asyncio
import json
import queue
import sys
from typing import Any

import numpy as np
import tritonclient.grpc as sync  # type: ignore[import-untyped]
import tritonclient.grpc.aio as asynchronous  # type: ignore[import-untyped]
from tritonclient.utils import InferenceServerException, np_to_triton_dtype  # type: ignore[import-untyped]

MODEL, COUNT = "tiny-faces.decode", 65


def inputs(module: Any, rows: int, seed: int) -> list[Any]:  # either of its two
    """What the metadata ask for, filled with noise."""
    values = np.random.default_rng(seed).standard_normal((rows, 8)).astype(np.float32)
    tensor = module.InferInput("latent", list(values.shape), np_to_triton_dtype(values.dtype))
    tensor.set_data_from_numpy(values)
    return [tensor]


def lifecycle(client: sync.InferenceServerClient) -> dict[str, Any]:
    """Let a model go, and load it again."""
    client.unload_model("tiny-digits")
    gone = [client.is_model_ready(name) for name in ("tiny-digits", "tiny-digits.decode")]
    states = {each.name: each.state for each in client.get_model_repository_index().models}
    client.load_model("tiny-digits")
    back = [client.is_model_ready(name) for name in ("tiny-digits", "tiny-digits.decode")]
    try:
        client.load_model("tiny-digits", config="{}", files={"file:1/model.onnx": b"\0"})
        refused = ""
    except InferenceServerException as error:
        refused = str(error.status())
    return {"gone": gone, "state": states.get("tiny-digits"), "back": back, "refused": refused}


def described(client: sync.InferenceServerClient) -> dict[str, Any]:
    """What is told of the server and of a model."""
    metadata = client.get_model_metadata(MODEL, as_json=True)
    config = client.get_model_config(MODEL, as_json=True)["config"]
    return {
        "live": client.is_server_live(),
        "ready": client.is_server_ready() and client.is_model_ready(MODEL),
        "nobody": client.is_model_ready("Nobody"),
        "extensions": list(client.get_server_metadata().extensions),
        "inputs": metadata["inputs"],
        "max_batch_size": config["max_batch_size"],
        "dims": config["input"][0]["dims"],
    }


def inferred(client: sync.InferenceServerClient) -> dict[str, Any]:
    """A reply, in full and of one output, and the id that it echoes."""
    asked = [sync.InferRequestedOutput("image")]
    reply = client.infer(
        MODEL, inputs(sync, 2, 1), model_version="1", outputs=asked, request_id="one", timeout=60_000_000
    )
    image = reply.as_numpy("image")
    try:
        client.infer(MODEL, inputs(sync, 17, 1))
        refused = ""
    except InferenceServerException as error:
        refused = str(error.status())
    return {"id": reply.get_response().id, "shape": image.shape, "sum": float(image.sum()), "refused": refused}


def streamed(client: sync.InferenceServerClient) -> dict[str, Any]:
    """Many requests on one stream that stays open until all are answered; one of them is bad."""
    replies: queue.Queue[Any] = queue.Queue()
    client.start_stream(callback=lambda result, error: replies.put((result, error)))
    for number in range(COUNT):
        client.async_stream_infer(
            MODEL, inputs(sync, 1, number), request_id=str(number), enable_empty_final_response=True
        )
    client.async_stream_infer(MODEL, inputs(sync, 17, 0), request_id="bad")
    got = [replies.get(timeout=60) for _ in range(COUNT + 1)]
    good = [result.get_response() for result, error in got if error is None]
    errors = [str(error) for _, error in got if error is not None]
    client.stop_stream()
    final = all(each.parameters["triton_final_response"].bool_param for each in good)
    return {"ids": sorted(int(each.id) for each in good), "final": final, "errors": errors}


async def awaited(address: str) -> dict[str, Any]:
    """The same through the asynchronous client."""
    async with asynchronous.InferenceServerClient(address) as client:
        replies = await asyncio.gather(*(client.infer(MODEL, inputs(asynchronous, 1, each)) for each in range(16)))

        async def requests() -> Any:  # an iterator of what the client names so
            for number in range(5):
                yield {"model_name": MODEL, "inputs": inputs(asynchronous, 1, number), "request_id": str(number)}

        ids = [result.get_response().id async for result, error in client.stream_infer(requests()) if error is None]
        return {"replies": len(replies), "ids": sorted(ids)}


def counted(client: sync.InferenceServerClient) -> dict[str, Any]:
    """What the statistics say after all that."""
    (told,) = client.get_inference_statistics(MODEL, "1").model_stats
    spent = told.inference_stats
    return {
        "version": told.version,
        "success": spent.success.count,
        "fail": spent.fail.count,
        "queue": spent.queue.count,
        "compute": spent.compute_infer.ns,
        "rows": told.inference_count,
        "runs": told.execution_count,
        "by_size": sum(each.batch_size * each.compute_infer.count for each in told.batch_stats),
    }


def main(address: str) -> None:
    """Do all of it, and print it."""
    client = sync.InferenceServerClient(address)
    told = {
        "lifecycle": lifecycle(client),
        "described": described(client),
        "inferred": inferred(client),
        "streamed": streamed(client),
        "awaited": asyncio.run(awaited(address)),
        "counted": counted(client),
    }
    client.close()
    print(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1])
