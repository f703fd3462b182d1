"""Stand-ins for CUDA's libraries: enough of them to load ONNX Runtime's CUDA provider on a machine without a GPU."""

import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

ANSWERS = Path(__file__).with_name("stand_ins.c")
CUDNN = "libcudnn.so.9"  # opened at run time, so the provider does not list it
TOOLS = ("gcc", "nm", "readelf")


def cuda_provider() -> Path | None:
    """The CUDA provider of the installed ONNX Runtime; None where its wheel carries none."""
    spec = find_spec("onnxruntime")
    folders = spec.submodule_search_locations if spec else None
    path = Path(folders[0], "capi", "libonnxruntime_providers_cuda.so") if folders else None
    return path if path and path.exists() else None


def missing() -> str:
    """Why no stand-ins can be made here; empty where they can."""
    if absent := [tool for tool in TOOLS if not shutil.which(tool)]:
        return f"stand-ins for CUDA cannot be compiled without {', '.join(absent)}"
    return "" if cuda_provider() else "this wheel of ONNX Runtime carries no CUDA provider"


def compile_into(folder: Path) -> Path:
    """Write a stand-in for each of CUDA's libraries that the provider needs, with its symbols; the same folder.

    All are one object under several names: a symbol's version is its library's name, so the linker takes each from the
    right one. What stand_ins.c does not answer is a function that returns 0, which is CUDA's word for success.
    """
    provider = cuda_provider()
    if provider is None:
        raise RuntimeError(missing())
    answers, zeros = folder / "answers.o", folder / "zeros.o"
    _run("gcc", "-w", "-fPIC", "-c", str(ANSWERS), "-o", str(answers))
    answered = set(re.findall(r" T (\w+)", _run("nm", str(answers))))
    wanted = set(re.findall(r" U (_*cu\w+)", _run("nm", "-D", "--undefined-only", str(provider))))
    source = zeros.with_suffix(".c")
    source.write_text("".join(f"long {name}(void) {{ return 0; }}\n" for name in sorted(wanted - answered)))
    _run("gcc", "-w", "-fPIC", "-c", str(source), "-o", str(zeros))
    needed = re.findall(r"NEEDED.*\[(lib(?:cu|nv)[^\]]+)\]", _run("readelf", "-d", str(provider)))
    for library in (*needed, CUDNN):
        script = folder / f"{library}.map"
        script.write_text(f"{library} {{ global: *; }};\n")
        names = (f"-Wl,-soname,{library}", f"-Wl,--version-script={script}", "-o", str(folder / library))
        _run("gcc", "-shared", *names, str(answers), str(zeros))
    return folder


def _run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
