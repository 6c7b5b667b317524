from .description import Description as Description
from .description import Provenance as Provenance
from .map_file import write_map as write_map
from .scene_map import TileLogits as TileLogits
from .scene_map import predict_tiles as predict_tiles
from .starting import Start as Start
from .trained_model import TrainedModel as TrainedModel
