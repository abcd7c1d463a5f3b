"""Round-trip reinforcement learning for chemical language models."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("rtrl-chem")
except PackageNotFoundError:  # run from a source tree that was never installed
    __version__ = "0+unknown"

__all__ = ["__version__"]
