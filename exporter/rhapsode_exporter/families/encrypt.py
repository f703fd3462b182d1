"""The family encrypt: nets that learn to encrypt, which is a demonstration and not a cipher."""

from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from rhapsode.v1.bundle_pb2 import DataSet, GraphRole, Metric, ModelKind, StopReason, Training
from rhapsode_exporter.bundle.draft import GOLDEN_ROWS, BundleDraft, GraphDraft, Preview
from rhapsode_exporter.errors import DataUnavailableError
from rhapsode_exporter.families.base import Order
from rhapsode_exporter.families.records import as_text, training_record
from rhapsode_exporter.loops.secrecy import Parties, SecrecySettings, bit_error, draw_bits, listen, train
from rhapsode_exporter.networks.cipher import Eavesdropper, Mixer

WARNING = "A demonstration, not a cipher: nothing is proved of it, and nothing should be kept secret with it."
MEASURED = 100_000
LICENCE = "CC0-1.0"
NEWCOMER_WIDTH = 128
GUESSING = "guessing"


@dataclass(frozen=True, slots=True)
class Size:
    """How long the three play, and how long a new eavesdropper listens to the finished pair."""

    steps: int
    newcomer_steps: int
    game: SecrecySettings


FULL = Size(steps=10_000, newcomer_steps=4_000, game=SecrecySettings())
QUICK = Size(steps=3_000, newcomer_steps=1_000, game=SecrecySettings())


class Encrypt:
    """Sender and receiver share a key that an eavesdropper lacks; a bundle each for the first two."""

    name = "encrypt"
    description = "nets that learn to encrypt 16 bits from an eavesdropper (a demonstration, not a cipher)"
    bundles = ("encrypt-sender", "encrypt-receiver")
    schedules: tuple[str, ...] = ()
    measures_error = False

    def train(self, order: Order) -> tuple[BundleDraft, ...] | None:
        """Play, let new eavesdroppers try their luck, and describe the pair."""
        if order.data is not None:
            raise DataUnavailableError(f"{self.name} makes its own data; leave --data out")
        size = QUICK if order.quick else FULL
        settings = as_text(asdict(size.game))
        torch.manual_seed(order.seed)
        parties = Parties(size.game)
        run = order.open_run(self.name, order.stop_rule(size.steps))
        outcome = train(run, parties, size.game, settings | {"seed": str(order.seed)})
        if outcome.stop.reason == StopReason.STOP_REASON_INTERRUPTED:
            return None
        order.console.print("training new eavesdroppers against the finished pair")
        figures = _figures(parties, size)
        record = training_record(_data(size.game.bits), settings, order.seed, outcome)
        return _drafts(parties, size.game.bits, record, figures)


def _data(bits: int) -> DataSet:
    return DataSet(
        name=f"random messages and keys of {bits} bits, drawn by a program",
        licence=LICENCE,
        held_out=f"{MEASURED:,} messages and keys drawn afresh",
    )


@torch.no_grad()
def _exchange(parties: Parties, bits: int, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Plaintexts, keys and ciphertexts [count, bits]."""
    generator = torch.Generator().manual_seed(1)
    plain, key = draw_bits(count, bits, generator), draw_bits(count, bits, generator)
    return plain, key, parties.sender(plain, key)


def _figures(parties: Parties, size: Size) -> tuple[Metric, ...]:
    bits = size.game.bits
    plain, key, cipher = _exchange(parties, bits, MEASURED)
    with torch.no_grad():
        read, guess = parties.receiver(cipher, key), parties.eavesdropper(cipher)
        wrong = parties.receiver(cipher, draw_bits(MEASURED, bits, torch.Generator().manual_seed(2)))
    newcomers: tuple[nn.Module, ...] = (Eavesdropper(bits, NEWCOMER_WIDTH), Mixer(bits))
    fresh = min(listen(parties.sender, one, bits, size.newcomer_steps, seed=3) for one in newcomers)
    after = (
        f"share of bits read wrongly by the better of two new eavesdroppers (a perceptron of {NEWCOMER_WIDTH} units, "
    )
    after += f"the paper's network), each trained for {size.newcomer_steps:,} steps against the finished pair"
    return (
        _error("receiver_bit_error_share", bit_error(read, plain), "share of bits that the receiver reads wrongly"),
        _error("wrong_key_bit_error_share", bit_error(wrong, plain), "the same with another key", secret=True),
        _error(
            "eavesdropper_bit_error_share",
            bit_error(guess, plain),
            "share of bits that the eavesdropper of the training reads wrongly",
            secret=True,
        ),
        _error("fresh_eavesdropper_bit_error_share", fresh, after, secret=True),
    )


def _error(name: str, value: float, description: str, *, secret: bool = False) -> Metric:
    """A share of wrong bits: the lower the better for who may read, the higher for who may not."""
    return Metric(
        name=name,
        value=value,
        higher_is_better=secret,
        baseline=0.5,
        baseline_name=GUESSING,
        description=description,
    )


def _drafts(parties: Parties, bits: int, record: Training, figures: tuple[Metric, ...]) -> tuple[BundleDraft, ...]:
    plain, key, cipher = _exchange(parties, bits, GOLDEN_ROWS)
    with torch.no_grad():
        preview = _preview(plain, key, cipher, parties.receiver(cipher, key))
    sends, reads = Encrypt.bundles
    whose = f"trained against an eavesdropper (Abadi & Andersen 2016); bits are −1 or 1. {WARNING}"

    def draft(name: str, network: nn.Module, inputs: dict[str, Tensor], output: str, what: str) -> BundleDraft:
        return BundleDraft(
            name=name,
            kind=ModelKind.MODEL_KIND_TRANSFORM,
            description=f"{what}, {whose}",
            licence=LICENCE,
            graphs=(GraphDraft(GraphRole.GRAPH_ROLE_TRANSFORM, network, inputs, (output,)),),
            training=record,
            metrics=figures,
            preview=Preview("preview.txt", preview.encode()),
        )

    sender, receiver = {"plaintext": plain, "key": key}, {"ciphertext": cipher, "key": key}
    return (
        draft(sends, parties.sender, sender, "ciphertext", f"Turns {bits} bits and a key into {bits} numbers"),
        draft(reads, parties.receiver, receiver, "plaintext", f"Reads those {bits} bits again with the key"),
    )


def _preview(plain: Tensor, key: Tensor, cipher: Tensor, read: Tensor) -> str:
    """Four messages on their way."""
    lines = [WARNING]
    for row in range(4):
        lines += [
            "",
            f"plaintext   {_signs(plain[row])}",
            f"key         {_signs(key[row])}",
            f"ciphertext  {' '.join(f'{number:+.2f}' for number in cipher[row].tolist())}",
            f"read again  {_signs(read[row])}",
        ]
    return "\n".join(lines) + "\n"


def _signs(bits: Tensor) -> str:
    return "".join("1" if bit > 0 else "0" for bit in bits.tolist())
