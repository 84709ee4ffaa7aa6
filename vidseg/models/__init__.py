"""The network family: Mask2Former with an FPN or BiSeNet pixel decoder. Needs torch and nothing else."""

from vidseg.models.configs import ModelConfig, build_model, config_for, create_model, model_names, resolve_name
from vidseg.models.mask2former import Mask2Former, ModelOutput
from vidseg.models.transformer_decoder import QueryLogits

__all__ = [
    "Mask2Former",
    "ModelConfig",
    "ModelOutput",
    "QueryLogits",
    "build_model",
    "config_for",
    "create_model",
    "model_names",
    "resolve_name",
]
