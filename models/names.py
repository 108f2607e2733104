"""What a model's name means, and whether that model can be used here: checked before anything is spent."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from ..errors import ModelSetupError, nearest
from ..settings import secret
from .embedded_servers import bundled_weights, check_runtime

OPENAI_URL = "https://api.openai.com/v1"

# Providers reached through LangChain: the module to be installed, and the variable that holds the key (None where
# the provider has other ways to sign in, or needs none).
PROVIDERS: dict[str, tuple[str, str | None]] = {
    "anthropic": ("langchain_anthropic", "ANTHROPIC_API_KEY"),
    "azure_ai": ("langchain_azure_ai", None),
    "azure_openai": ("langchain_openai", "AZURE_OPENAI_API_KEY"),
    "bedrock": ("langchain_aws", None),
    "bedrock_converse": ("langchain_aws", None),
    "cohere": ("langchain_cohere", "COHERE_API_KEY"),
    "deepseek": ("langchain_deepseek", "DEEPSEEK_API_KEY"),
    "fireworks": ("langchain_fireworks", "FIREWORKS_API_KEY"),
    "google_genai": ("langchain_google_genai", "GOOGLE_API_KEY"),
    "google_vertexai": ("langchain_google_vertexai", None),
    "groq": ("langchain_groq", "GROQ_API_KEY"),
    "huggingface": ("langchain_huggingface", None),
    "ibm": ("langchain_ibm", "WATSONX_APIKEY"),
    "litellm": ("langchain_litellm", None),
    "mistralai": ("langchain_mistralai", "MISTRAL_API_KEY"),
    "nvidia": ("langchain_nvidia_ai_endpoints", "NVIDIA_API_KEY"),
    "ollama": ("langchain_ollama", None),
    "openrouter": ("langchain_openrouter", "OPENROUTER_API_KEY"),
    "perplexity": ("langchain_perplexity", "PPLX_API_KEY"),
    "together": ("langchain_together", "TOGETHER_API_KEY"),
    "upstage": ("langchain_upstage", "UPSTAGE_API_KEY"),
    "xai": ("langchain_xai", "XAI_API_KEY"),
}


@dataclass(frozen=True, slots=True)
class ModelName:
    """A parsed model name. `str()` gives it in its full form, without any secret.

    `model` is the provider's name of the model; for `local` it is empty (the bundled weights), a path, or
    `hf:REPO/FILE`. `base_url` is set for `openai` only.
    """

    provider: str
    model: str
    base_url: str | None = None

    def __str__(self) -> str:
        name = f"{self.provider}:{self.model}" if self.model else self.provider
        return f"{name}@{self.base_url}" if self.base_url and self.base_url != OPENAI_URL else name

    @property
    def local(self) -> bool:
        """Whether the model runs in this machine's own processes: free, and it sees nothing leave."""
        return self.provider == "local"

    @property
    def host(self) -> str:
        """Who sees the examples: the endpoint's host, the provider's name, or `this machine`."""
        if self.local:
            return "this machine"
        return urlsplit(self.base_url).hostname or self.base_url if self.base_url else self.provider

    @property
    def key_variable(self) -> str | None:
        """The environment variable that holds the key; None where there is none to hold."""
        if self.provider == "openai":
            return "OPENAI_API_KEY"
        return PROVIDERS[self.provider][1] if self.provider in PROVIDERS else None

    def api_key(self) -> str | None:
        """The key itself, from the environment or `.env`; None where none is set. For the call's header only."""
        return secret(self.key_variable) if self.key_variable else None


def parse_model(name: str, base_url: str | None = None) -> ModelName:
    """What `name` means. Forms: `openai:MODEL`, `openai:MODEL@http://host:port/v1`, `local`, `local:/path/x.gguf`,
    `local:hf:REPO/FILE`, and `provider:model` for LangChain's providers.

    For `openai` the address is the one in the name, else `base_url`, else `OPENAI_BASE_URL`, else OpenAI's own;
    others have no use for it.
    Raises `ModelSetupError` for names that mean nothing.
    """
    provider, colon, model = name.strip().partition(":")
    if provider == "local":
        return ModelName("local", model)
    if provider != "openai" and provider not in PROVIDERS:
        hint = nearest(provider, ["openai", "local", *PROVIDERS]) if colon else f" Did you mean 'openai:{provider}'?"
        raise ModelSetupError(f"unknown model provider '{provider}' in '{name}': write provider:model.{hint}")
    if not model:
        raise ModelSetupError(f"'{name}' names no model: write {provider}:MODEL")
    if provider != "openai":
        return ModelName(provider, model)
    model, at, address = model.partition("@http")
    url = f"http{address}" if at else base_url or secret("OPENAI_BASE_URL") or OPENAI_URL
    return ModelName("openai", model, _checked_url(url))


def check_model(name: str, base_url: str | None = None) -> ModelName:
    """The parsed name, after making sure without any network that the model can be used here.

    Raises `ModelSetupError`, one line that names the mend: a missing key, package, library or weights file.
    """
    model = parse_model(name, base_url)
    if model.local:
        check_runtime()
        if model.model.startswith("hf:"):
            split_hub_name(model.model)
            _require("huggingface_hub", f"'{model}' needs huggingface-hub: pip install 'sage-spo[hub]'")
        else:
            local_weights(model)
        return model
    if model.provider != "openai":
        module = PROVIDERS[model.provider][0]
        _require(module, f"'{model}' needs a package: uv pip install {module.replace('_', '-')}")
    variable = model.key_variable
    if variable and not model.api_key() and (model.provider != "openai" or model.base_url == OPENAI_URL):
        raise ModelSetupError(f"'{model}' needs a key: set {variable} in the environment or in .env")
    return model


def local_weights(model: ModelName) -> Path:
    """The weights file of a `local` model, downloaded into the hub's cache where the name says `hf:`."""
    if not model.model:
        return bundled_weights()
    if model.model.startswith("hf:"):
        return _download(*split_hub_name(model.model))
    path = Path(model.model).expanduser()
    if not path.is_file():
        raise ModelSetupError(f"no such weights file: {path} (a GGUF file, as in local:/path/to/model.gguf)")
    return path


def split_hub_name(name: str) -> tuple[str, str]:
    """Repository and file of `hf:OWNER/REPO/FILE`."""
    parts = name.removeprefix("hf:").split("/", 2)
    if len(parts) < 3 or not all(parts) or not parts[2].endswith(".gguf"):
        raise ModelSetupError(f"'local:{name}' should read local:hf:OWNER/REPO/FILE.gguf")
    return f"{parts[0]}/{parts[1]}", parts[2]


@cache
def _download(repository: str, file: str) -> Path:
    _require("huggingface_hub", "weights from the hub need huggingface-hub: pip install 'sage-spo[hub]'")
    hub = importlib.import_module("huggingface_hub")
    try:
        return Path(hub.hf_hub_download(repository, file))
    except Exception as error:  # the hub raises many kinds; all mean that there are no weights
        reason = " ".join(str(error).split())[:200]
        raise ModelSetupError(f"cannot get {file} of {repository} from the hub: {reason}") from error


def _require(module: str, message: str) -> None:
    if importlib.util.find_spec(module) is None:
        raise ModelSetupError(message)


def web_address(url: str) -> SplitResult | None:
    """The parts of an http(s) address with a host; None for anything else."""
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return None
    return parts if valid else None


def _checked_url(url: str) -> str:
    parts = web_address(url)
    if parts is None:
        raise ModelSetupError("the base URL should look like http://host:port/v1")
    if parts.username or parts.password:
        raise ModelSetupError("the base URL holds a password: put the key into OPENAI_API_KEY instead")
    return url.rstrip("/")
