//! The contract of every channel, run by Alipay in certificate mode against the gateway simulator.

mod kit;

use till_conformance::conformance;

conformance!(kit::Kit<true>);
