# vidseg on the CPU, without windows:
#   docker build -t vidseg .
#   docker run --rm -v "$PWD:/data" vidseg run clip.mp4 -o annotated.mp4
# `make test-slim` runs the RUN lines in a bare Debian; the image itself is not built by the tests.
FROM debian:bookworm-slim

# where pip finds PyTorch's CPU build; the package index has the one for CUDA, which is larger by GBs
ARG TORCH_WHEELS=https://download.pytorch.org/whl/cpu/torch/

WORKDIR /vidseg
COPY . .
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-venv ca-certificates && rm -rf /var/lib/apt/lists/*
RUN python3 -m venv .venv && .venv/bin/pip install -q --no-cache-dir -f "$TORCH_WHEELS" -c constraints.txt .
RUN .venv/bin/vidseg run samples/street.mp4 -o /tmp/check.mp4 --limit 5 --imgsz 128 && rm /tmp/check.mp4

WORKDIR /data
ENTRYPOINT ["/vidseg/.venv/bin/vidseg"]
