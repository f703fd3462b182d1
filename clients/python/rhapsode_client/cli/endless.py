"""How `rhapsode text --endless` goes on from one request to the next.

A request that ends because it may generate no more tokens is followed by another. While the tokens of one seed stay
within what the model generates for a request, the next request resumes the last: its received tokens are all so far,
and the text is the one that a single long request would have given. After that a fresh request is prompted with the
last tokens, as many as a prompt may have, under the next seed: the text goes on from what the model can still see.
"""

from dataclasses import dataclass, replace

from rhapsode_client.types import ModelLimits, Prompt, TextOptions

SEEDS = 1 << 64


@dataclass(frozen=True, slots=True)
class Leg:
    """One request of the chain: `max_tokens` counts the received tokens too, as on the wire."""

    prompt: Prompt
    received: tuple[int, ...]
    max_tokens: int
    seed: int | None

    def options(self, common: TextOptions) -> TextOptions:
        """The request's options: what all requests have in common, and this one's own."""
        options = TextOptions(**common)
        options["max_tokens"] = self.max_tokens
        options["received_token_ids"] = self.received
        if self.seed is not None:
            options["seed"] = self.seed
        return options


def first_leg(prompt: Prompt, step: int | None, seed: int | None, limits: ModelLimits) -> Leg:
    """The first request; `step` is the number of tokens that each request adds, None as many as the model allows."""
    return Leg(prompt, (), _fewer(step, limits.generated_tokens), seed)


def next_leg(
    leg: Leg, prompt_ids: tuple[int, ...], generated: tuple[int, ...], seed: int, step: int | None, limits: ModelLimits
) -> Leg:
    """The request after `leg`, which was run under `seed` and generated these tokens after those it had received;
    `prompt_ids` are the tokens of its prompt.
    """
    received = (*leg.received, *generated)
    room = limits.generated_tokens - len(received)
    if room > 0:
        return replace(leg, received=received, max_tokens=len(received) + _fewer(step, room), seed=seed)
    context = (*prompt_ids, *received)[-limits.prompt_tokens :]
    return Leg(context, (), _fewer(step, limits.generated_tokens), (seed + 1) % SEEDS)


def _fewer(step: int | None, most: int) -> int:
    return most if step is None else min(step, most)
