//! Supervisor of plugin hosts: manifests, spawning, transports, back-off, quarantine.
