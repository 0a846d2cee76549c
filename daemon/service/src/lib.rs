//! The payment-terminal service: configuration, D-Bus objects, and the shell that runs effects.
