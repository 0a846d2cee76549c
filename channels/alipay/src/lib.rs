//! Payment channel: Alipay face-to-face payment.
