"""The models of a server that is fuzzed: small ones of every kind, always the same, so that a number is a request."""

from pathlib import Path

from support import bundles, text_bundles, vocabularies


def write_fuzzed(models: Path) -> None:
    """Write them."""
    bundles.write_all(models)
    drafts = (
        bundles.compressor(),
        bundles.transformer(),
        bundles.diffusion(),
        bundles.boltzmann(),
        bundles.stepper("no-start", start_token=None),
        bundles.stepper("with-unknown", unknown_token=",", longest_prompt=5, end_token="."),
        text_bundles.headlines(),
        text_bundles.text_critic(),
        vocabularies.bpe_model(),
    )
    for draft in drafts:
        draft.write(models)
