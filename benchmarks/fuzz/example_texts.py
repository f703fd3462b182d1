"""Requests about text that a model can answer."""

from random import Random

from rhapsode.v1 import text_pb2
from rhapsode.v1.model_pb2 import Model

TOKENS = 8  # few: what is asked is looked at, not how much


def ids(model: Model, random: Random) -> text_pb2.TokenIds:
    """Some tokens of the model's."""
    known = len(model.sequence.vocabulary.tokens)
    return text_pb2.TokenIds(ids=[random.randrange(known) for _ in range(random.randint(2, 6))])


def texts(model: Model, random: Random) -> text_pb2.TextGeneration:
    """A short text."""
    asked = text_pb2.TextGeneration(model=model.name, seed=random.getrandbits(64), token_ids=ids(model, random))
    asked.stopping.max_tokens = random.randint(1, TOKENS)
    asked.sampling.temperature = random.choice([0.0, 0.5, 1.0])
    _choose_texts(asked, model, random)
    return asked


def _choose_texts(asked: text_pb2.TextGeneration, model: Model, random: Random) -> None:
    """Set one of the options that a text may have, or none."""
    vocabulary, classes = model.sequence.vocabulary, model.sequence.classes
    match random.randrange(10):
        case 0:
            asked.logprobs = random.randint(0, 3)
        case 1:
            asked.candidate_count = random.randint(1, 3)
        case 2:
            asked.text = "".join(random.choices(vocabulary.tokens, k=3))
        case 3:
            asked.keep_best.drawn = random.randint(1, 4)
        case 4:
            asked.class_name = random.choice(classes).name if classes else ""
        case 5:
            asked.received_token_ids.append(asked.token_ids.ids[0])
        case 6:
            asked.stopping.stop_sequences.append(random.choice(vocabulary.tokens) or "a")
        case 7:
            asked.echo = True


def scored(model: Model, random: Random) -> text_pb2.ScoreInput:
    """A text to score, or to classify."""
    return text_pb2.ScoreInput(token_ids=ids(model, random))
