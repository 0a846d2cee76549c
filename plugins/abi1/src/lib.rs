//! Generation 1 of the binary contract between the plugin host and a plugin; frozen.
