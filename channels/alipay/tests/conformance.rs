//! The contract of every channel, run by Alipay in key mode against the gateway simulator.

mod kit;

use till_conformance::conformance;

conformance!(kit::Kit<false>);
