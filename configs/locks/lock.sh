#!/bin/sh
# Resolves pyproject.toml into the lock files beside this script, hashes included. torch and what
# only its CUDA build asks for stay out: the Makefile installs the CPU build by itself.
set -eu
cd "$(dirname "$0")/../.."
tool=$(mktemp -d)
trap 'rm -rf "$tool"' EXIT
"$1" -m venv "$tool/venv"
"$tool/venv/bin/python" -m pip --disable-pip-version-check install --quiet uv

compile() { # compile OUTPUT ARGUMENTS...
  output=$1
  shift
  "$tool/venv/bin/uv" pip compile --quiet --universal --python-version 3.11 --no-annotate \
    --no-header --generate-hashes --output-file "$tool/lock.txt" "$@"
  awk '/^[^ ]/ { drop = /^(torch|triton|sentence-transformers|nvidia-[^=]*|cuda-[^=]*)==/ } !drop' \
    "$tool/lock.txt" >"$output"
}

locks=configs/locks
serve="--extra torch --extra onnx --extra transformers --extra demo"
# The larger set first: the smaller one then holds the same versions.
compile $locks/dev.txt pyproject.toml $serve --extra load --extra test --extra lint --extra protos
compile $locks/serve.txt pyproject.toml $serve --constraint $locks/dev.txt
echo "kserve==0.21.0" >"$tool/kserve.in"
compile $locks/kserve.txt "$tool/kserve.in"
