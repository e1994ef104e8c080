from .config import TrainConfig as TrainConfig
from .data import read_samples as read_samples
from .run import train as train
from .trained import TrainedModel as TrainedModel
