"""Server reflection, v1 and v1alpha: one servicer under both names, since the messages are the same on the wire."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, cast

from google.protobuf import text_format
from google.protobuf.descriptor import FileDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha import reflection, reflection_pb2

from rhapsode_server.rpc.call import Call
from rhapsode_server.rpc.guarded import refuse_malformed
from rhapsode_server.rpc.methods import REFLECTION
from rhapsode_server.rpc.routes import Service

_ALPHA = cast("ServiceDescriptor", reflection_pb2.DESCRIPTOR.services_by_name["ServerReflection"])

Request = reflection_pb2.ServerReflectionRequest
Response = reflection_pb2.ServerReflectionResponse


class Reflection:
    """Tells which services there are, and their descriptors."""

    def __init__(self, services: Sequence[Service]) -> None:
        names = [*(each.name for each in services), _ALPHA.full_name, REFLECTION]
        self._inner = reflection.aio.ReflectionServicer(names, _pool(services))

    def services(self) -> Sequence[Service]:
        """What to register."""
        return [Service(_ALPHA, self, _ALPHA.full_name), Service(_ALPHA, self, REFLECTION)]

    async def ServerReflectionInfo(self, requests: "AsyncIterator[Request]", call: Call) -> None:
        """Answer each question."""
        answers: Any = self._inner.ServerReflectionInfo(
            _sound(requests), call
        )  # a generator, which its stubs do not say
        async for answer in answers:
            await call.write(answer)


async def _sound(requests: "AsyncIterator[Request]") -> "AsyncIterator[Request]":
    """The questions up to one that is none, for which it raises MalformedRequest: a stream is read beyond the guard."""
    async for request in requests:
        refuse_malformed(request)
        yield request


def _pool(services: Sequence[Service]) -> DescriptorPool:
    """A pool of the services' own files; it also knows v1, whose generated code no package of ours has."""
    pool = DescriptorPool()
    seen: set[str] = set()
    for each in services:
        _add(pool, each.descriptor.file, seen)
    _add(pool, _ALPHA.file, seen)
    pool.AddSerializedFile(_v1_file().SerializeToString())
    return pool


def _add(pool: DescriptorPool, file: FileDescriptor, seen: set[str]) -> None:
    if file.name not in seen:
        seen.add(file.name)
        for dependency in file.dependencies:
            _add(pool, dependency, seen)
        pool.AddSerializedFile(file.serialized_pb)


def _v1_file() -> FileDescriptorProto:
    alpha = FileDescriptorProto.FromString(_ALPHA.file.serialized_pb)
    text = text_format.MessageToString(alpha)
    renamed = text.replace("grpc.reflection.v1alpha", "grpc.reflection.v1").replace(
        "grpc_reflection/v1alpha", "grpc/reflection/v1"
    )
    return text_format.Parse(renamed, FileDescriptorProto())
