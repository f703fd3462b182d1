"""Which model a request is for."""


def reference_of(request: object) -> str:
    """The reference of a request's model, "name" and more; empty where it names none, or is no request."""
    name = str(getattr(request, "model_name", ""))  # of the Open Inference Protocol: a model's, a dot, a graph's
    if not name:
        return str(getattr(getattr(request, "generation", request), "model", ""))
    version = getattr(request, "model_version", "")
    return name.rpartition(".")[0] + (f"@{version}" if version else "")
