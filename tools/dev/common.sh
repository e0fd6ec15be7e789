# Sourced by ./dev and its parts, in the root of the tree. CH_ROOT is that root.

BUILD_PACKAGES=(build-essential cmake ninja-build pkg-config libzmq3-dev libczmq-dev libmsgpack-dev
    libsnappy-dev libxxhash-dev libroaring-dev libpcre2-dev libinih-dev libjansson-dev
    libcurl4-openssl-dev libcmocka-dev)
TEST_PACKAGES=(python3 python3-zmq python3-msgpack)
CLANG_PACKAGES=(clang libclang-rt-14-dev)

jobs_wanted=${CH_JOBS:-$(nproc)}

is_installed() {
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# Install what is missing of the named Debian packages; silent when nothing is.
need_packages() {
    local missing=() package root=()
    if ! command -v dpkg-query >/dev/null; then
        command -v cmake >/dev/null && return # another system: its owner has prepared it
        echo "dev: this is no Debian; install the equivalents of: $*" >&2
        exit 1
    fi
    for package in "$@"; do
        is_installed "$package" || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return
    if [ "$(id -u)" != 0 ]; then
        if ! command -v sudo >/dev/null; then
            echo "dev: packages are missing, and installing them takes root or sudo. As root, run:" >&2
            echo "    apt-get update && apt-get install --no-install-recommends ${missing[*]}" >&2
            echo "dev: then run this again as yourself" >&2
            exit 1
        fi
        root=(sudo)
    fi
    echo "dev: installing ${missing[*]}"
    echo "dev: this takes a minute or two ..."
    install_packages "${missing[@]}" || {
        echo "dev: apt-get could not install: ${missing[*]}" >&2
        exit 1
    }
}

# Try with the package lists at hand, and once more with fresh ones.
install_packages() {
    local apt=("${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o Dpkg::Use-Pty=0)
    "${apt[@]}" --no-install-recommends install "$@" </dev/null >/dev/null 2>&1 && return
    "${apt[@]}" update </dev/null && "${apt[@]}" --no-install-recommends install "$@" </dev/null >/dev/null
}

# Build a preset, or only the targets named after it. CH_STRICT=1 makes warnings errors.
build_preset() {
    local preset=$1 strict=OFF target
    shift
    [ -n "${CH_STRICT:-}" ] && strict=ON
    quietly cmake --preset "$preset" "-DCMAKE_COMPILE_WARNING_AS_ERROR=$strict"
    local command=(cmake --build "build/$preset" -j "$jobs_wanted")
    for target in "$@"; do
        command+=(--target "$target")
    done
    "${command[@]}"
}

# Run a command, show its output only when it fails.
quietly() {
    local output
    output=$("$@" 2>&1 </dev/null) || {
        printf '%s\n' "$output" >&2
        return 1
    }
}

# What docs/examples/producer.mjs needs, into build/npm. A machine without npm or a network goes without it,
# and the example's test skips with the reason that is left in build/npm/why; the next try is an hour
# later. No scripts of packages are run: the parts built for this system come with them.
prepare_npm() {
    local folder=$CH_ROOT/build/npm
    [ -n "${CH_NODE_MODULES:-}" ] && return
    export CH_NODE_MODULES=$folder/node_modules
    { [ -e "$folder/ready" ] || [ -n "$(find "$folder/why" -mmin -60 2>/dev/null)" ]; } && return
    mkdir -p "$folder"
    if ! command -v npm >/dev/null || ! command -v node >/dev/null; then
        echo "node and npm are not installed" >"$folder/why"
    elif timeout 60 npm install --prefix "$folder" --no-save --no-audit --no-fund --no-package-lock \
        --ignore-scripts --fetch-retries=0 zeromq@6 @msgpack/msgpack@3 </dev/null >"$folder/log" 2>&1; then
        touch "$folder/ready"
        rm -f "$folder/why"
    else
        echo "npm could not install zeromq and @msgpack/msgpack; see build/npm/log" >"$folder/why"
    fi
}
