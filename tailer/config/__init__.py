"""What can be set, how it is read, and what is said about every mistake in it. Pure."""

from tailer.config.finding import find_config_path as find_config_path
from tailer.config.parsing import parse_config as parse_config
from tailer.config.settings import AicoreSection as AicoreSection
from tailer.config.settings import Config as Config
from tailer.config.settings import DaemonSection as DaemonSection
from tailer.config.settings import FileSection as FileSection
from tailer.config.settings import PollSettings as PollSettings
from tailer.config.settings import SinkSection as SinkSection
from tailer.config.settings import SpoolSection as SpoolSection
from tailer.config.settings import StatusSection as StatusSection
from tailer.config.settings import SyslogSection as SyslogSection
from tailer.config.settings import Watch as Watch
