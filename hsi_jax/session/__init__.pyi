from .scene_training import Trained as Trained
from .scene_training import train_scene as train_scene
