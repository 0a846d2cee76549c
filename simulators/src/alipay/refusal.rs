//! The gateway's refusals: code, message, sub-code and sub-message as the open platform's tables list them.

use crate::wallet::Account;

/// A refusal with its fixed texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The public code: `20000`, `40001`, `40002`, `40004`, `40006`.
    pub code: &'static str,
    /// The detail: `isv.…` for the request itself, `ACQ.…` for the business.
    pub sub_code: &'static str,
    /// The detail in words.
    pub sub_msg: &'static str,
}

impl Refusal {
    /// The gateway's words for an account that cannot pay.
    pub fn of(account: Account) -> Self {
        match account {
            Account::BalanceShort => Self::BUYER_BALANCE,
            Account::BankcardShort => Self::BANKCARD_BALANCE,
            Account::BalanceDisabled => Self::BALANCE_DISABLED,
            Account::MonthLimit => Self::MONTH_LIMIT,
            Account::Risk => Self::RISK,
            Account::Fail => Self::PAYMENT_FAIL,
            Account::CashierFail => Self::CASHIER_FAIL,
            Account::IsSeller => Self::BUYER_IS_SELLER,
            Account::Expired => Self::AUTH_CODE_INVALID,
        }
    }

    /// The message that belongs to the public code.
    pub fn msg(&self) -> &'static str {
        message(self.code)
    }

    /// The refusal of a sub-code, if the gateway knows it.
    pub fn by_sub_code(sub_code: &str) -> Option<Self> {
        ALL.iter().copied().find(|refusal| refusal.sub_code == sub_code)
    }
}

/// The message of a public code, as the platform's table of common codes gives it.
pub(crate) fn message(code: &str) -> &'static str {
    match code {
        "10000" => "Success",
        "10003" => " order success pay inprocess",
        "20000" => "Service Currently Unavailable",
        "20001" => "Insufficient Token Permissions",
        "40001" => "Missing Required Arguments",
        "40002" => "Invalid Arguments",
        "40006" => "Insufficient Permissions",
        _ => "Business Failed",
    }
}

macro_rules! refusals {
    ($($name:ident = $code:literal $sub:literal $text:literal;)*) => {
        impl Refusal {
            $(#[doc = concat!("`", $code, "` `", $sub, "`: ", $text)]
            pub const $name: Self = Self { code: $code, sub_code: $sub, sub_msg: $text };)*
        }
        const ALL: &[Refusal] = &[$(Refusal::$name),*];
    };
}

refusals! {
    MISSING_APP_ID = "40001" "isv.missing-app-id" "缺少AppID参数";
    MISSING_METHOD = "40001" "isv.missing-method" "缺少方法名参数";
    MISSING_SIGNATURE = "40001" "isv.missing-signature" "缺少签名参数";
    MISSING_SIGNATURE_TYPE = "40001" "isv.missing-signature-type" "缺少签名类型参数";
    MISSING_TIMESTAMP = "40001" "isv.missing-timestamp" "缺少时间戳参数";
    MISSING_VERSION = "40001" "isv.missing-version" "缺少版本参数";
    INVALID_APP_ID = "40002" "isv.invalid-app-id" "无效的AppID参数";
    INVALID_METHOD = "40002" "isv.invalid-method" "不存在的方法名";
    INVALID_SIGNATURE = "40002" "isv.invalid-signature" "验签出错";
    INVALID_SIGNATURE_TYPE = "40002" "isv.invalid-signature-type" "无效的签名类型";
    INVALID_TIMESTAMP = "40002" "isv.invalid-timestamp" "非法的时间戳参数";
    INVALID_CHARSET = "40002" "isv.invalid-charset" "字符集错误";
    INVALID_FORMAT = "40002" "isv.invalid-format" "无效的数据格式";
    INVALID_PARAMETER = "40002" "isv.invalid-parameter" "参数无效";
    APP_CERT_NOT_EXIST = "40002" "isv.app-cert-not-exist" "应用公钥证书不存在";
    INVALID_ROOT_CERT_SN = "40002" "isv.invalid-alipay-root-cert-sn" "无效支付宝根证书序列号";
    SYSTEM_ERROR = "40004" "ACQ.SYSTEM_ERROR" "系统错误";
    BAD_PARAMETER = "40004" "ACQ.INVALID_PARAMETER" "参数无效";
    ACCESS_FORBIDDEN = "40004" "ACQ.ACCESS_FORBIDDEN" "无权限使用接口";
    TOTAL_FEE_EXCEED = "40004" "ACQ.TOTAL_FEE_EXCEED" "订单总金额不在允许范围内";
    CONTEXT_INCONSISTENT = "40004" "ACQ.CONTEXT_INCONSISTENT" "交易信息被篡改";
    AUTH_CODE_INVALID = "40004" "ACQ.PAYMENT_AUTH_CODE_INVALID" "支付失败，获取顾客账户信息失败，请顾客刷新付款码后重新收款";
    TRADE_HAS_SUCCESS = "40004" "ACQ.TRADE_HAS_SUCCESS" "交易已被支付";
    TRADE_HAS_CLOSE = "40004" "ACQ.TRADE_HAS_CLOSE" "交易已经关闭";
    TRADE_HAS_FINISHED = "40004" "ACQ.TRADE_HAS_FINISHED" "交易已经完结";
    TRADE_NOT_EXIST = "40004" "ACQ.TRADE_NOT_EXIST" "交易不存在";
    TRADE_STATUS_ERROR = "40004" "ACQ.TRADE_STATUS_ERROR" "交易状态不合法";
    CLOSE_STATUS_INVALID = "40004" "ACQ.REASON_TRADE_STATUS_INVALID" "交易状态异常";
    CANCEL_TIME_OUT = "40004" "ACQ.TRADE_CANCEL_TIME_OUT" "超过撤销时间范围";
    REFUND_TOO_MUCH = "40004" "ACQ.REFUND_AMT_NOT_EQUAL_TOTAL" "退款金额超限";
    DISCORDANT_REPEAT = "40004" "ACQ.DISCORDANT_REPEAT_REQUEST" "不一致的请求";
    BUYER_BALANCE = "40004" "ACQ.BUYER_BALANCE_NOT_ENOUGH" "买家余额不足";
    BANKCARD_BALANCE = "40004" "ACQ.BUYER_BANKCARD_BALANCE_NOT_ENOUGH" "用户银行卡余额不足";
    BALANCE_DISABLED = "40004" "ACQ.ERROR_BALANCE_PAYMENT_DISABLE" "余额支付功能关闭";
    MONTH_LIMIT = "40004" "ACQ.BUYER_PAYMENT_AMOUNT_MONTH_LIMIT_ERROR" "买家付款月额度超限";
    RISK = "40004" "ACQ.PAYMENT_REQUEST_HAS_RISK" "支付有风险";
    PAYMENT_FAIL = "40004" "ACQ.PAYMENT_FAIL" "支付失败";
    CASHIER_FAIL = "40004" "ACQ.PULL_MOBILE_CASHIER_FAIL" "唤起移动收银台失败";
    BUYER_IS_SELLER = "40004" "ACQ.BUYER_SELLER_EQUAL" "买卖家不能相同";
}
