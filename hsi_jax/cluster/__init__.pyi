from .devices import choose_devices as choose_devices
from .devices import emulate_devices as emulate_devices
from .devices import take_devices as take_devices
from .processes import join_cluster as join_cluster
from .processes import rank as rank
