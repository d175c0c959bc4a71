# Shared by run and test: finds the project, installs what is missing, builds. Sourced, not run.
set -eu

project=$(cd "$(dirname "$0")/.." && pwd)
packages="gcc g++ cmake ninja-build pkg-config libuv1-dev libcurl4-openssl-dev liblmdb-dev libjansson-dev
libsodium-dev libseccomp-dev libzstd-dev zlib1g-dev libcmocka-dev"

say() { printf '\n== %s\n' "$*"; }
die() { printf '\n%s: %s\n' "$(basename "$0")" "$*" >&2; exit 3; }

# Installs the Debian packages that aren't there yet: run as root, or with sudo.
install_packages() {
    missing=
    for package in $packages "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
    done
    [ -n "$missing" ] || { say "packages: all there"; return 0; }
    command -v apt-get >/dev/null ||
        die "these packages are missing, and this isn't Debian or Ubuntu:$missing. Install their like, then run this again."
    as_root=
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || die "run as root once, or install:$missing"
        as_root=sudo
    fi
    say "installing:$missing"
    $as_root apt-get update -qq
    # shellcheck disable=SC2086
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
}

# Sets cuda to the toolkit's folder, or ends with the step to take.
find_cuda() {
    looked=
    for cuda in ${WARPSMITH_CUDA:-} ${CUDA_HOME:-} ${CUDA_PATH:-} /usr/local/cuda /opt/cuda; do
        looked="$looked $cuda"
        if [ -f "$cuda/include/nvrtc.h" ] && [ -f "$cuda/include/cuda.h" ]; then
            version=$(sed -n 's/^#define CUDA_VERSION  *\([0-9]*\).*/\1/p' "$cuda/include/cuda.h")
            if [ "${version:-0}" -ge 12080 ]; then
                say "CUDA Toolkit: $cuda (version $version)"
                return 0
            fi
            looked="$looked(version ${version:-unknown}, older than 12.8)"
        fi
    done
    die "the CUDA Toolkit 12.8 or newer (NVRTC and headers; no GPU or driver is needed) was not found.
Looked in:$looked
Install it from NVIDIA (https://developer.nvidia.com/cuda-downloads: choose Linux, your distribution, then
  apt-get install cuda-nvrtc-dev-13-0 cuda-cudart-dev-13-0 cuda-crt-13-0
or the whole cuda-toolkit-13-0), or point at a place that has it: WARPSMITH_CUDA=/path/to/cuda $0"
}

# build FOLDER CMAKE-OPTIONS...
build() {
    folder=$1
    shift
    say "building in $folder"
    cmake -S "$project" -B "$folder" -G Ninja -DWS_CUDA_DIR="$cuda" \
        -DWARPSMITH_WERROR="${WARPSMITH_WERROR:-OFF}" "$@" >/dev/null
    cmake --build "$folder"
}
