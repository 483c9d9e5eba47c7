"""A simulated SAP AI Core, for demonstrations and tests.

It shares only the values of `tailer.model` with the client: a mistake made on both sides
would cancel out.
"""

from tailer.simulator.faults import Fault as Fault
from tailer.simulator.settings import Burst as Burst
from tailer.simulator.settings import Dialect as Dialect
from tailer.simulator.settings import FaultSettings as FaultSettings
from tailer.simulator.settings import LineSettings as LineSettings
from tailer.simulator.settings import SimulatorSettings as SimulatorSettings
from tailer.simulator.settings import Stage as Stage
from tailer.simulator.settings import TargetSettings as TargetSettings
from tailer.simulator.settings import TokenSettings as TokenSettings
from tailer.simulator.settings import load_settings as load_settings
from tailer.simulator.simulator import Simulator as Simulator
