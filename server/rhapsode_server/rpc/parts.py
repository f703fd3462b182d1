"""How many parts a message may have that has no bounds beside its fields.

An empty message among many takes two bytes on the wire, and eighty in memory.
"""

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from rhapsode_server.errors import InvalidField
from rhapsode_server.repository.limits import DECLARED

MOST = 4 * DECLARED  # the inputs of a graph, their bytes, its outputs, and as many parameters
_SMALL = 2 * MOST  # bytes: no message of fewer has more parts
_PARTS = (FieldDescriptor.CPPTYPE_MESSAGE, FieldDescriptor.CPPTYPE_STRING)


def check_parts(message: object, size: int) -> None:
    """Raise InvalidField where a message of so many bytes has more messages, texts and keys than any needs.

    Numbers do not count: they take no more than eight times their bytes.
    """
    if size > _SMALL and isinstance(message, Message):
        _count(message, "", 0)


def _count(message: Message, prefix: str, before: int) -> int:
    """Those in its lists, and those before it."""
    for field, value in message.ListFields():
        path = prefix + field.name
        if field.cpp_type not in _PARTS:
            continue
        if not field.is_repeated:
            before = _count(value, f"{path}.", before) if isinstance(value, Message) else before
            continue
        before += len(value)
        if before > MOST:
            rule = f"must not bring the parts of the request to more than {MOST}"
            raise InvalidField(path, rule, {"max_length": str(MOST)})
        if field.message_type and not field.message_type.GetOptions().map_entry:
            for place, part in enumerate(value):
                before = _count(part, f"{path}[{place}].", before)
    return before
