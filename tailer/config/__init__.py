"""Settings, and their loading with all mistakes reported at once. Pure, except `read_config`."""

from tailer.config.load import find_config_path as find_config_path
from tailer.config.load import parse_config as parse_config
from tailer.config.load import read_config as read_config
from tailer.config.settings import Config as Config
from tailer.config.settings import DaemonSection as DaemonSection
from tailer.config.settings import FileSection as FileSection
from tailer.config.settings import PollSettings as PollSettings
from tailer.config.settings import SinkSection as SinkSection
from tailer.config.settings import SpoolSection as SpoolSection
from tailer.config.settings import StatusSection as StatusSection
from tailer.config.settings import SyslogSection as SyslogSection
from tailer.config.settings import Watch as Watch
