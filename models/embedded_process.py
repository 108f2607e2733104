"""The process that serves the embedded model: `python -m sage_spo.models.embedded_process --weights FILE`.

It serves llama.cpp's OpenAI-compatible API on a free loopback port, says so in one JSON line on standard output
(`{"url": …}` or `{"error": …}`), and lives exactly as long as the process that started it: it ends when standard
input closes or its parent is gone. (`PR_SET_PDEATHSIG` would be the shorter way, but it fires when the *thread*
that started the child ends, and event loops start children from short-lived threads.)
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import select
import sys
from typing import Any

ALIAS = "local"
CONTEXT_TOKENS = 8192
BATCH_TOKENS = 63
PROMPT_CACHE_MIB = 256
PARENT_CHECK_SECONDS = 1.0

# Spinning OpenMP threads collapse when other processes share the cores; read when the library is loaded.
QUIET_THREADS = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "0"}


def serve(weights: str, threads: int) -> Any:
    """A running server. The caller keeps the reference: the server ends when it is collected."""
    os.environ.update(QUIET_THREADS)
    xllamacpp: Any = importlib.import_module("xllamacpp")  # compiled, without type information

    params = xllamacpp.CommonParams()
    params.model.path = weights
    params.model_alias = {ALIAS}
    params.n_ctx = CONTEXT_TOKENS
    params.n_parallel = 1
    params.cpuparams.n_threads = threads
    params.cpuparams_batch.n_threads = threads
    params.cache_ram_mib = PROMPT_CACHE_MIB
    # Flash attention works on tiles from 64 tokens on, plain attention differs between one token and several: only
    # this combination computes the same numbers however much of a prompt was cached.
    params.n_batch = params.n_ubatch = BATCH_TOKENS
    params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_ENABLED
    params.embedding = True
    params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_threads_http = 4
    params.ui = False
    params.warmup = False
    params.verbosity = 0
    return xllamacpp.Server(params)


def main() -> None:
    parser = argparse.ArgumentParser(description="Serve a GGUF model to the process that started this one.")
    parser.add_argument("--weights", required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--parent", type=int, default=os.getppid(), help="end when this is no longer the parent")
    arguments = parser.parse_args()

    report = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # native logging must not mix with the report
    try:
        server = serve(arguments.weights, arguments.threads)
        message = {"url": f"{server.listening_address}/v1"}
    except Exception as error:  # whatever the native library raises is reported to the parent, in one line
        message = {"error": " ".join(str(error).split()) or type(error).__name__}
    print(json.dumps(message), file=report, flush=True)
    if "url" in message:
        wait_for_parent(arguments.parent)
    os._exit(0 if "url" in message else 1)  # the server's native threads would delay an ordinary exit


def wait_for_parent(parent: int) -> None:
    """Return when standard input closes or `parent` is no longer the parent."""
    while os.getppid() == parent:
        readable, _, _ = select.select([sys.stdin], [], [], PARENT_CHECK_SECONDS)
        if readable and not os.read(sys.stdin.fileno(), 4096):
            return


if __name__ == "__main__":
    main()
