/* The CUDA calls that must fill in an answer, as a GPU of compute capability 9.0 with 8 GiB would; host memory is its memory. */
#include <stdlib.h>
#include <string.h>

typedef void *Handle;
enum { DONE, OUT_OF_MEMORY = 2, CUDA_VERSION = 13000, MAJOR = 9, MINOR = 0, MULTIPROCESSORS = 132 };
static const size_t MEMORY = (size_t)8 << 30;

/* The head of cudaDeviceProp, the same in CUDA 12 and 13, and the size of the whole in 13 (12 has more, unread here). */
struct Properties {
    char name[256], identity[32];
    size_t total, shared_per_block;
    int registers_per_block, warp_size;
    size_t pitch;
    int threads_per_block, block[3], grid[3];
    size_t constant;
    int major, minor;
    char rest[1008 - 368];
};

int cudaGetDeviceProperties(struct Properties *p, int device) {
    memset(p, 0, sizeof *p);
    strcpy(p->name, "stand-in");
    p->total = MEMORY, p->warp_size = 32, p->threads_per_block = 1024, p->major = MAJOR, p->minor = MINOR;
    return DONE;
}
int cudaGetDeviceProperties_v2(struct Properties *p, int device) { return cudaGetDeviceProperties(p, device); }
int cudaDeviceGetAttribute(int *value, int attribute, int device) {
    *value = attribute == 75 ? MAJOR : attribute == 76 ? MINOR : attribute == 16 ? MULTIPROCESSORS : 1;
    return DONE;
}
int cudaGetDevice(int *device) { *device = 0; return DONE; }
int cudaGetDeviceCount(int *count) { *count = 1; return DONE; }
int cudaDriverGetVersion(int *version) { *version = CUDA_VERSION; return DONE; }
int cudaRuntimeGetVersion(int *version) { *version = CUDA_VERSION; return DONE; }
int cudaMemGetInfo(size_t *free, size_t *total) { *free = *total = MEMORY; return DONE; }
const char *cudaGetErrorName(int error) { return "stand-in"; }
const char *cudaGetErrorString(int error) { return "stand-in"; }

static int take(Handle *given, size_t bytes) { return (*given = calloc(1, bytes + 64)) ? DONE : OUT_OF_MEMORY; }
int cudaMalloc(Handle *given, size_t bytes) { return take(given, bytes); }
int cudaMallocHost(Handle *given, size_t bytes) { return take(given, bytes); }
int cudaHostAlloc(Handle *given, size_t bytes, unsigned flags) { return take(given, bytes); }
int cudaFree(Handle given) { free(given); return DONE; }
int cudaFreeHost(Handle given) { free(given); return DONE; }
int cudaMemcpy(Handle to, Handle from, size_t bytes, int kind) { memcpy(to, from, bytes); return DONE; }
int cudaMemcpyAsync(Handle to, Handle from, size_t bytes, int kind, Handle stream) { memcpy(to, from, bytes); return DONE; }

int cudaStreamCreate(Handle *given) { return take(given, 8); }
int cudaStreamCreateWithFlags(Handle *given, unsigned flags) { return take(given, 8); }
int cudaStreamIsCapturing(Handle stream, int *status) { *status = 0; return DONE; }
int cudaEventCreate(Handle *given) { return take(given, 8); }
int cudaEventCreateWithFlags(Handle *given, unsigned flags) { return take(given, 8); }
int cublasCreate_v2(Handle *given) { return take(given, 4096); }
int cublasLtCreate(Handle *given) { return take(given, 4096); }
int curandCreateGenerator(Handle *given, int kind) { return take(given, 4096); }

/* cuDNN is no dependency that the linker knows: the provider looks these up by name. */
int cudnnCreate(Handle *given) { return take(given, 4096); }
int cudnnDestroy(Handle given) { return DONE; }
int cudnnSetStream(Handle given, Handle stream) { return DONE; }
size_t cudnnGetVersion(void) { return 90000; }
