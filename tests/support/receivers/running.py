"""The syslog services that tests can run, by name."""

from support.receivers.rsyslog import running_rsyslog
from support.receivers.syslog_ng import running_syslog_ng

RUNNING = {"rsyslog": running_rsyslog, "syslog-ng": running_syslog_ng}
