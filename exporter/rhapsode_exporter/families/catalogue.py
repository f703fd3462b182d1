"""The model families that can be trained."""

from rhapsode_exporter.families.base import Family
from rhapsode_exporter.families.diagonals_gan import DiagonalsGan
from rhapsode_exporter.families.digits_bayes import DigitsBayes
from rhapsode_exporter.families.digits_boltzmann import DigitsDbm, DigitsRbm
from rhapsode_exporter.families.digits_critic import DigitsCritic
from rhapsode_exporter.families.digits_diffusion import DigitsDiffusion
from rhapsode_exporter.families.digits_gan import DigitsGan, fashion_gan
from rhapsode_exporter.families.digits_restore import DigitsRestore
from rhapsode_exporter.families.encrypt import Encrypt
from rhapsode_exporter.families.faces_codec import FacesCodec
from rhapsode_exporter.families.faces_vae import FacesVae
from rhapsode_exporter.families.glyphs_bold import GlyphsBold
from rhapsode_exporter.families.headlines_critic import HeadlinesCritic
from rhapsode_exporter.families.ngram import ngram_families
from rhapsode_exporter.families.shapes_vae import ShapesVae
from rhapsode_exporter.families.texts import text_families


def families() -> tuple[Family, ...]:
    """All families, in the order in which they are listed."""
    return (
        *text_families(),
        *ngram_families(),
        HeadlinesCritic(),
        FacesVae(),
        ShapesVae(),
        FacesCodec(),
        DigitsGan(),
        fashion_gan(),
        DigitsCritic(),
        DigitsRestore(),
        GlyphsBold(),
        DiagonalsGan(),
        DigitsDiffusion(),
        DigitsBayes(),
        DigitsRbm(),
        DigitsDbm(),
        Encrypt(),
    )
