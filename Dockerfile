# mzpipe for CPUs, or for NVIDIA GPUs with the index of a CUDA build of torch; docs/install.md says how to build and run it.

ARG PYTHON=3.11

FROM python:${PYTHON}-slim AS wheel
WORKDIR /source
COPY setup.cfg pyproject.toml README.md LICENSE ./
COPY bin bin
COPY profiles profiles
COPY mzpipe mzpipe
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:${PYTHON}-slim
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ARG EXTRAS=atari,boards,box2d,minatar,cpu,video,web
# Both indexes are asked: of one version of torch, pip takes the one with the build's name, such as 2.13.0+cpu.
RUN --mount=type=bind,from=wheel,source=/wheels,target=/wheels \
    --mount=type=bind,source=constraints.txt,target=/constraints.txt \
    pip install --no-cache-dir --extra-index-url "${TORCH_INDEX}" --constraint /constraints.txt \
        "mzpipe[${EXTRAS}] @ file://$(echo /wheels/mzpipe-*.whl)" \
    && useradd --create-home --uid 1000 mzpipe \
    && install --directory --owner mzpipe --group mzpipe /runs /home/mzpipe/.cache
ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER 1000
# Profiles, games of one's own and runs: -v "$PWD:/runs" makes them those of the current directory.
WORKDIR /runs
ENTRYPOINT ["mzpipe"]
CMD ["--help"]
