"""A melody as the sound of plucked strings."""

import io
import wave

import numpy as np
from numpy.typing import NDArray

from rhapsode_client.music.melody import Melody

RATE = 22050  # samples a second
TAIL = 1.0  # seconds in which the last notes die away
RING = 0.25  # seconds for which a string rings on after its note
PARTIALS = 6
PLUCKED_AT = 0.18  # where along its length a string is plucked
DECAY = 1.6  # of the first partial, in 1/seconds at middle C; higher ones and higher strings fade faster
RELEASE = 0.05  # seconds in which a string that rings on is damped
PEAK = 0.85


def wav(melody: Melody) -> bytes:
    """A WAV file of one channel, 16 bits; it lasts as long as the melody, and TAIL."""
    samples = np.round(sound(melody) * 32767).astype("<i2")
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())
    return content.getvalue()


def sound(melody: Melody) -> NDArray[np.float32]:
    """Samples in [-1, 1] at RATE."""
    second = melody.tempo / 60  # quarter notes
    samples = np.zeros(round((melody.seconds + TAIL) * RATE), np.float32)
    for note in melody.notes:
        begin = round(note.start / second * RATE)
        string = _string(440 * 2 ** ((note.pitch - 69) / 12), note.length / second + RING)[: len(samples) - begin]
        samples[begin : begin + len(string)] += string
    loudest = float(np.abs(samples).max(initial=0.0))
    return samples * (PEAK / loudest) if loudest else samples


def _string(frequency: float, seconds: float) -> NDArray[np.float32]:
    """An ideal plucked string by its partials: the n-th has amplitude sin(nπp)/n² (Fletcher & Rossing 1998, 2.5)."""
    time = np.arange(round(seconds * RATE), dtype=np.float32) / np.float32(RATE)
    heard = np.arange(1, PARTIALS + 1, dtype=np.float32)
    heard = heard[heard * frequency < RATE / 2][:, None]
    shape = np.sin(np.pi * heard * PLUCKED_AT) / heard**2
    fading = np.exp(-DECAY * (1 + 0.4 * (heard - 1)) * (frequency / 261.6) ** 0.5 * time)
    damped = np.clip((seconds - time) / RELEASE, 0, 1)
    vibration = (shape * fading * np.sin(2 * np.pi * frequency * heard * time)).sum(axis=0)
    return np.asarray(vibration * damped, np.float32)
