"""Hosts to look into: a node over SSH, a restored guest over SSH through its drill gateway or over its agent.

Each is a testinfra ``Host`` on a backend of ours: host keys are strict, a transport failure is an operator's error and
never an assertion, every command and result is recorded.
"""

from testinfra.host import Host

from backup_standard.hosts.agent import AgentCalls, agent_host
from backup_standard.hosts.guest import account_of, guest_client, guest_host
from backup_standard.hosts.node import node_client, node_host
from backup_standard.hosts.recording import Recorder, replay_host
from backup_standard.hosts.ssh import Account, Output, SshClient

__all__ = [
    "Account",
    "AgentCalls",
    "Host",
    "Output",
    "Recorder",
    "SshClient",
    "account_of",
    "agent_host",
    "guest_client",
    "guest_host",
    "node_client",
    "node_host",
    "replay_host",
]
