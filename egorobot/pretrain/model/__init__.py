"""EgoVideo: a two-stream video encoder and the text tower it is trained against."""

from egorobot.pretrain.model.config import SIZES, EgoVideoConfig
from egorobot.pretrain.model.egovideo import EgoVideo, Encoded

__all__ = ["SIZES", "EgoVideo", "EgoVideoConfig", "Encoded"]
