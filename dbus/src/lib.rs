//! The D-Bus contract: interface XML and typed proxies.
