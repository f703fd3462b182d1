"""Streams of pictures over real gRPC: breaks on purpose, and what the reader gets all the same."""

from pathlib import Path

import numpy as np
import pytest

from client.scripted import DRAWN_SEED, Break, Script, serving
from rhapsode.v1 import image_pb2
from rhapsode_client import ChannelSettings, Client, ConnectionLost, ResumeMismatch


def test_pictures_of_a_seed_go_on_by_first_index(socket: Path, eager: ChannelSettings) -> None:
    script = Script(breaks=[Break(3), Break(1)])
    with serving(script, socket) as address, Client(address, eager) as client:
        stream = client.stream_images("m", count=6, first_index=10)
        pictures = list(stream)
        assert stream.started.count == 6
    assert [picture.data.decode() for picture in pictures] == [f"{DRAWN_SEED}:{row}" for row in range(10, 16)]
    assert [picture.index for picture in pictures] == list(range(10, 16))
    last = script.requests[-1]
    assert isinstance(last, image_pb2.StreamImagesRequest)
    assert (last.generation.first_index, last.generation.count, last.generation.seed) == (14, 2, DRAWN_SEED)


def test_pictures_that_get_on_may_break_more_often_than_in_a_row(socket: Path, eager: ChannelSettings) -> None:
    script = Script(breaks=[Break(2), Break(0)] * 8)
    with serving(script, socket) as address, Client(address, eager) as client:
        rows = [picture.index for picture in client.stream_images("m", count=30)]
    assert rows == list(range(30))
    assert len(script.requests) == 17


def test_a_walk_that_only_repeats_itself_gives_up(socket: Path, eager: ChannelSettings) -> None:
    script = Script(breaks=[Break(3)] * 9)
    with serving(script, socket) as address, Client(address, eager) as client, pytest.raises(ConnectionLost):
        list(client.interpolate("m", [1, 2], frames_per_segment=6))
    assert len(script.requests) == eager.resume.attempts


def test_pictures_of_seeds_go_on_with_the_seeds_that_are_left(socket: Path, eager: ChannelSettings) -> None:
    script = Script(breaks=[Break(2)])
    with serving(script, socket) as address, Client(address, eager) as client:
        pictures = list(client.stream_images("m", seeds=[4, 8, 15, 16]))
    assert [picture.data.decode() for picture in pictures] == ["4:0", "8:0", "15:0", "16:0"]
    assert [picture.index for picture in pictures] == [0, 1, 2, 3]


def test_latents_go_on_with_those_that_are_left(socket: Path, eager: ChannelSettings) -> None:
    script = Script(breaks=[Break(2)])
    with serving(script, socket) as address, Client(address, eager) as client:
        pictures = list(client.decode_latents("m", np.eye(3)))
    assert [picture.index for picture in pictures] == [0, 1, 2]
    assert [picture.data.decode() for picture in pictures] == [str(list(row)) for row in np.eye(3).tolist()]


def test_a_walk_starts_over_without_repeating(socket: Path, eager: ChannelSettings) -> None:
    script = Script(breaks=[Break(3), Break(2)])
    with serving(script, socket) as address, Client(address, eager) as client:
        pictures = list(client.interpolate("m", [1, 2], frames_per_segment=6))
    assert [picture.data.decode() for picture in pictures] == [str(index) for index in range(7)]


def test_pictures_of_another_fingerprint_are_refused(socket: Path, eager: ChannelSettings) -> None:
    script = Script(breaks=[Break(3)], fingerprints=["f1", "f2"])
    with (
        serving(script, socket) as address,
        Client(address, eager) as client,
        pytest.raises(ResumeMismatch, match="after 3 pictures"),
    ):
        list(client.stream_images("m", count=6))
