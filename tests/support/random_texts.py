"""Random requests about text: prompts, lengths and every option of the sampler, and texts to score or to judge."""

from collections.abc import Mapping, Sequence

from rhapsode.v1.model_pb2 import Model
from rhapsode.v1.text_pb2 import (
    ClassifyTextRequest,
    LogitBias,
    Sampling,
    ScoreInput,
    ScoreTextRequest,
    Stopping,
    TextGeneration,
    TokenIds,
)
from support.dice import Dice

LONGEST_PROMPT, MOST_TOKENS, MOST_CANDIDATES, MOST_LOGPROBS, MOST_INPUTS = 40, 60, 4, 20, 4

RANGES: Mapping[str, tuple[float, float]] = {
    "top_p": (0.05, 1),
    "min_p": (0, 0.3),
    "repetition_penalty": (0.5, 2),
    "presence_penalty": (-1, 2),
    "frequency_penalty": (-0.5, 1),
}


def text(model: Model, dice: Dice) -> TextGeneration:
    """A text with a seed; each option is there or not, as the dice fall."""
    tokens, asked = dice.size(MOST_TOKENS), TextGeneration(model=model.name, seed=dice.seed(), echo=dice.chance(0.2))
    _prompt(asked, model, dice)
    asked.sampling.CopyFrom(_sampling(model, dice))
    asked.stopping.CopyFrom(Stopping(max_tokens=tokens, stop_sequences=_stops(model, dice)))
    if dice.chance(0.6):
        asked.logprobs = dice.below(MOST_LOGPROBS + 1)
    if dice.chance(0.15):
        asked.candidate_count = 1 + dice.below(MOST_CANDIDATES)
    elif dice.chance(0.15):
        asked.received_token_ids.extend(_ids(model, dice, dice.below(tokens)))
    elif dice.chance(0.1):
        asked.keep_best.drawn = 1 + dice.below(MOST_CANDIDATES)
    asked.class_name = _class_name(model, dice)
    return asked


def scoring(model: Model, dice: Dice) -> ScoreTextRequest:
    """Texts to score, of two tokens at least: the first has no score where the vocabulary names no start token."""
    asked = ScoreTextRequest(model=model.name, top_logprobs=dice.pick([0, dice.below(MOST_LOGPROBS + 1)]))
    for _ in range(dice.size(MOST_INPUTS)):
        given = asked.inputs.add(class_name=_class_name(model, dice))
        _write(given, _ids(model, dice, 1 + _length(model, dice)), model, dice)
    return asked


def classifying(model: Model, dice: Dice) -> ClassifyTextRequest:
    """Texts for a critic to judge."""
    asked = ClassifyTextRequest(model=model.name)
    for _ in range(dice.size(MOST_INPUTS)):
        _write(asked.inputs.add(), _ids(model, dice, _length(model, dice)), model, dice)
    return asked


def _class_name(model: Model, dice: Dice) -> str:
    """One of the model's classes, or none."""
    return dice.pick(["", *(one.name for one in model.sequence.classes)])


def _prompt(asked: TextGeneration, model: Model, dice: Dice) -> None:
    if not (model.sequence.vocabulary.HasField("start_token") and dice.chance(0.1)):
        _write(asked, _ids(model, dice, _length(model, dice)), model, dice)


def _write(target: TextGeneration | ScoreInput, ids: Sequence[int], model: Model, dice: Dice) -> None:
    """Set `text` or `token_ids`."""
    if dice.chance(0.5):
        target.token_ids.CopyFrom(TokenIds(ids=ids))
    else:
        target.text = "".join(model.sequence.vocabulary.tokens[identity] for identity in ids)


def _length(model: Model, dice: Dice) -> int:
    return dice.size(min(LONGEST_PROMPT, model.limits.prompt_tokens - 1))


def _sampling(model: Model, dice: Dice) -> Sampling:
    sampling = Sampling()
    for name, (low, high) in RANGES.items():
        if dice.chance(0.3):
            setattr(sampling, name, dice.between(low, high))
    size = len(model.sequence.vocabulary.tokens)
    if dice.chance(0.7):
        sampling.temperature = dice.pick([0, dice.between(0.1, 2)])
    if dice.chance(0.3):
        sampling.top_k = 1 + dice.below(size)
    if dice.chance(0.3):
        biased = dice.some(1 + dice.below(4), size)
        sampling.logit_bias.extend(LogitBias(token_id=token, bias=dice.between(-8, 8)) for token in biased)
    return sampling


def _stops(model: Model, dice: Dice) -> list[str]:
    if dice.chance(0.7):
        return []
    tokens = model.sequence.vocabulary.tokens
    return ["".join(tokens[token] for token in _ids(model, dice, 1 + dice.below(2))) for _ in range(1 + dice.below(3))]


def _ids(model: Model, dice: Dice, count: int) -> list[int]:
    return [dice.below(len(model.sequence.vocabulary.tokens)) for _ in range(count)]
