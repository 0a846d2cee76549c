//! Payment channel: bank cards over ISO 8583.
