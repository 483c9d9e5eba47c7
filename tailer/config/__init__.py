"""What can be set, how it is read, and what is said about every mistake in it. Pure."""

from tailer.config.finding import find_config_path as find_config_path
from tailer.config.parsing import parse_config as parse_config
from tailer.config.sections import AicoreSection as AicoreSection
from tailer.config.sections import Config as Config
from tailer.config.sections import DaemonSection as DaemonSection
from tailer.config.sections import PollSettings as PollSettings
from tailer.config.sections import SpoolSection as SpoolSection
from tailer.config.sections import StatusSection as StatusSection
from tailer.config.sections import Watch as Watch
from tailer.config.sinks import FileSection as FileSection
from tailer.config.sinks import SinkSection as SinkSection
from tailer.config.syslog import SyslogSection as SyslogSection
