"""What ONNX Runtime's errors mean: it has one class of them for nearly everything, so their texts must tell.

The texts, as ONNX Runtime 1.31.1 has them: those about host memory were seen on the CPU; those about a GPU follow the
format that its CUDA provider holds, "CUDA failure %d: %s ; GPU=%d ; hostname=%s ; file=%s ; line=%d ; expr=%s; %s".
"""

import re

from rhapsode_server.errors import DeviceLost, OutOfMemory, RhapsodeError, RunFailed

_LONGEST_REASON = 200

_NO_MEMORY = re.compile(
    r"Failed to allocate memory for requested buffer of size"  # BFCArena, on every device
    r"|Available memory of \d+ is smaller than requested bytes of"  # BFCArena at its limit (gpu_mem_limit)
    r"|Failed to find a free memory block"
    r"|storage size overflowed|SafeIntOnOverflow"  # a tensor of more bytes than numbers can say
    r"|bad_alloc"
    r"|CUDA failure 2:"  # cudaErrorMemoryAllocation
    r"|CU(DNN|BLAS)_STATUS_ALLOC_FAILED"
    r"|out of memory"
)
# Of these, NVIDIA's reference of cudaError_t says that the process must be ended and started again (or that there is no
# device any more): 46 devices unavailable, 100 no device, 214 uncorrectable ECC error, 700 illegal address, 702 launch
# timeout, 709 context destroyed, 710 device-side assert, 714 hardware stack error, 715 illegal instruction, 716
# misaligned address, 717 invalid address space, 718 invalid program counter, 719 launch failure, 999 unknown.
_NO_DEVICE = re.compile(r"CUDA failure (46|100|214|700|702|709|710|71[4-9]|999):")


def failure(error: Exception) -> RhapsodeError:
    """What a run's error is to us: OutOfMemory, DeviceLost or else RunFailed."""
    text = str(error)
    if _NO_DEVICE.search(text):
        return DeviceLost(f"the device is lost: {brief(error)}")
    if isinstance(error, MemoryError) or _NO_MEMORY.search(text):
        return OutOfMemory(f"there was not the memory for the run: {brief(error)}")
    return RunFailed(f"the graph could not be run: {brief(error)}")


def brief(error: Exception) -> str:
    """ONNX Runtime's message without paths, names of hosts or C++ signatures, at most 200 characters: fit for a log or
    a reply.
    """
    text = re.sub(r"(?<!\w)/\S+", "", str(error).split("Status Message:")[-1])
    text = re.sub(r"\[ONNXRuntimeError\] : \d+ : ", "", text)
    text = re.sub(r"\s*; (hostname|file|line|expr)=[^;]*", "", text)
    text = re.sub(r"(const )?[\w:*&<>]+ onnxruntime::[\w:<>]+\([^)]*\)( const)?( \[with [^\]]*\])?", "", text)
    return " ".join(text.split())[:_LONGEST_REASON] or type(error).__name__
