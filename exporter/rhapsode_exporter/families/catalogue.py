"""The model families that can be trained."""

from rhapsode_exporter.families.base import Family
from rhapsode_exporter.families.diagonals_gan import DiagonalsGan
from rhapsode_exporter.families.digits_gan import DigitsGan
from rhapsode_exporter.families.faces_vae import FacesVae
from rhapsode_exporter.families.shakespeare_rnn import ShakespeareRnn
from rhapsode_exporter.families.shapes_vae import ShapesVae


def families() -> tuple[Family, ...]:
    """All families, in the order in which they are listed."""
    return (
        ShakespeareRnn(),
        ShakespeareRnn("shakespeare-gru", "gru"),
        FacesVae(),
        ShapesVae(),
        DigitsGan(),
        DiagonalsGan(),
    )
