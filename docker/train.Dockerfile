# The image that SageMaker trains in: the recipes, and what the extra `train` names.
#
#     docker build --file docker/train.Dockerfile --tag twin-train .
#
# docs/how-to/train-on-sagemaker.md says how to push it. On Linux with x86-64, PyPI's torch is the
# CUDA build and brings CUDA along, so the base needs none.
FROM python:3.11.14-slim-bookworm

# Triton compiles kernels where it runs.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*

ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONUNBUFFERED=1

WORKDIR /opt/twin
COPY constraints.txt ./
# By itself: 3 GB that change less often than anything below.
RUN pip install --constraint constraints.txt torch
COPY pyproject.toml README.md LICENSE ./
COPY llm_engineering llm_engineering
COPY pipelines pipelines
COPY steps steps
COPY tools tools
# bitsandbytes is what `quantization: 4bit` loads; it is of no use without CUDA, so no extra names it.
RUN pip install --constraint constraints.txt '.[train]' 'bitsandbytes>=0.48'

ENTRYPOINT ["python", "-m", "llm_engineering.recipes.sagemaker_entry"]
