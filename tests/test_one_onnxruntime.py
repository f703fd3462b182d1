"""Two wheels of ONNX Runtime in one environment overwrite each other: there is one."""

from importlib.metadata import packages_distributions


def test_one_distribution_provides_onnxruntime() -> None:
    providers = set(packages_distributions()["onnxruntime"])
    assert len(providers) == 1, f"{sorted(providers)} overwrite each other: uninstall all of them and install one"
