//! Frames and services.

use till_plugin::host::{
    Level, LogEntry, LogError, Now, Read, StoreError, TransportError, TransportInfo, TransportKind,
    WriteError,
};
use till_plugin::proto::message::Secret;
use till_plugin::proto::service::{LogLine, LogReadRequest, ReadRequest, WriteRequest};
use till_plugin::proto::traffic::{Masking, Passed, Piece, Run};
use till_plugin::proto::{Create, FromHost, Hello, Layer, ToHost};
use till_plugin::{ErrorCode, PluginError, Sensitive};

use crate::Golden;

fn error(code: ErrorCode) -> PluginError {
    PluginError::new(code, "why")
}

fn log_entry() -> LogEntry {
    LogEntry { seq: 700, bytes: vec![5, 6] }
}

fn log_refused() -> LogError {
    LogError::Refused { detail: "too long".into() }
}

fn log_undecided() -> LogError {
    LogError::Undecided { detail: "no answer".into() }
}

pub(crate) fn messages(g: &mut Golden) {
    to_host(g);
    from_host(g);
    services(g);
    let codes = [
        ErrorCode::Unsupported,
        ErrorCode::Settings,
        ErrorCode::BadRequest,
        ErrorCode::TransportGone,
        ErrorCode::Timeout,
        ErrorCode::Cancelled,
        ErrorCode::Hardware,
        ErrorCode::Protocol,
        ErrorCode::NotReady,
        ErrorCode::Busy,
        ErrorCode::SecretMissing,
        ErrorCode::Panicked,
        ErrorCode::Internal,
    ];
    for code in codes {
        g.is(&format!("error/{}", code.as_str()), &error(code));
    }
    let kinds = [
        TransportKind::Serial,
        TransportKind::Tcp,
        TransportKind::Evdev,
        TransportKind::Hidraw,
        TransportKind::Usb,
        TransportKind::I2c,
        TransportKind::Spi,
        TransportKind::CharDevice,
        TransportKind::Unix,
    ];
    for kind in kinds {
        g.is(&format!("transport/{}", kind.as_str()), &kind);
    }
}

fn to_host(g: &mut Golden) {
    g.is(
        "to-host/create",
        &ToHost::Create(Create {
            settings: r#"{"a":1}"#.into(),
            secrets: vec![Secret { name: "key".into(), value: Sensitive::new(vec![1, 2, 3]) }],
            transport: Some(TransportInfo { kind: TransportKind::Serial, name: "/dev/ttyACM0".into() }),
            store: vec![("k".into(), vec![9, 8])],
        }),
    );
    g.is(
        "to-host/call",
        &ToHost::Call { id: 300, method: 0x0211, timeout_ms: 60_000, payload: vec![0, 255] },
    );
    g.is("to-host/cancel", &ToHost::Cancel { id: 300 });
    g.is("to-host/ping", &ToHost::Ping { nonce: u64::MAX });
    g.is("to-host/store-done", &ToHost::StoreDone { id: 1, error: None });
    g.is("to-host/store-failed", &ToHost::StoreDone { id: 1, error: Some("disk full".into()) });
    g.is("to-host/stop", &ToHost::Stop);
    g.is("to-host/log-appended", &ToHost::LogAppended { id: 3, result: Ok(700) });
    g.is("to-host/log-append-refused", &ToHost::LogAppended { id: 3, result: Err(log_refused()) });
    g.is("to-host/log-append-undecided", &ToHost::LogAppended { id: 3, result: Err(log_undecided()) });
    g.is("to-host/log-page", &ToHost::LogPage { id: 4, result: Ok(vec![log_entry()]) });
    g.is("to-host/log-trimmed", &ToHost::LogTrimmed { id: 5, result: Ok(()) });
    g.is("to-host/log-trim-refused", &ToHost::LogTrimmed { id: 5, result: Err(log_refused()) });
    g.is("to-host/log-page-refused", &ToHost::LogPage { id: 4, result: Err(log_refused()) });
    for masking in [Masking::Lengths, Masking::Text, Masking::Keys, Masking::Digits, Masking::Raw] {
        g.is(&format!("to-host/record-{}", masking.as_str()), &ToHost::Record { masking: Some(masking) });
    }
    g.is("to-host/record-stop", &ToHost::Record { masking: None });
}

fn from_host(g: &mut Golden) {
    g.is(
        "from-host/hello",
        &FromHost::Hello(Hello {
            protocol: 1,
            plugin: "org.example.x".into(),
            version: "1.2.3".into(),
            sdk: "0.1.0".into(),
            rustc: "rustc 1.95.0".into(),
            sandbox: vec![Layer { name: "seccomp".into(), level: "full".into() }],
        }),
    );
    g.is("from-host/refused", &FromHost::Refused { message: "no".into() });
    g.is("from-host/created", &FromHost::Created { description: vec![1, 2] });
    g.is("from-host/create-failed", &FromHost::CreateFailed(error(ErrorCode::Settings)));
    g.is("from-host/reply", &FromHost::Reply { id: 300, result: Ok(vec![7]) });
    g.is("from-host/reply-error", &FromHost::Reply { id: 300, result: Err(error(ErrorCode::Busy)) });
    g.is("from-host/event", &FromHost::Event { kind: 2, payload: vec![1] });
    for (name, level) in
        [("error", Level::Error), ("warn", Level::Warn), ("info", Level::Info), ("debug", Level::Debug)]
    {
        g.is(&format!("from-host/log-{name}"), &FromHost::Log { level, message: "line".into() });
    }
    g.is("from-host/pong", &FromHost::Pong { nonce: 7, busy_ms: 1500 });
    g.is("from-host/store-put", &FromHost::StorePut { id: 2, key: "k".into(), value: vec![1] });
    g.is("from-host/ended", &FromHost::Ended(error(ErrorCode::TransportGone)));
    g.is("from-host/log-append", &FromHost::LogAppend { id: 3, bytes: vec![5, 6] });
    g.is("from-host/log-trim", &FromHost::LogTrim { id: 5, through: 699 });
    g.is("from-host/log-read", &FromHost::LogRead { id: 4, after: 699, max: 64 });
    let runs = || vec![Run::Masked(300), Run::Known(vec![13, 10])];
    let passed = [
        ("in", Passed::In(runs())),
        ("out", Passed::Out(runs())),
        ("note", Passed::Note("unplugged".into())),
    ];
    for (name, what) in passed {
        let piece = Piece { at_ms: 123_456, dropped: 2, what };
        g.is(&format!("from-host/traffic-{name}"), &FromHost::Traffic(piece));
    }
}

fn services(g: &mut Golden) {
    let gone = || TransportError::Gone { name: "/dev/ttyACM0".into(), detail: "unplugged".into() };
    g.is("service/LOG_1/request", &LogLine { level: Level::Info, message: "line".into() });
    g.is("service/LOG_1/reply", &());
    g.is("service/NOW_1/request", &());
    g.is("service/NOW_1/reply", &Now { wall_ms: -5, boot_ms: 123_456, trusted: true });
    g.is("service/SLEEP_1/request", &500_u64);
    g.is("service/SLEEP_1/reply", &true);
    g.is("service/READ_1/request", &ReadRequest { max: 4096, wait_ms: 250 });
    g.is("service/READ_1/reply", &Ok::<_, TransportError>(Read::Data(vec![1, 2])));
    g.is("service/READ_1/reply-timeout", &Ok::<_, TransportError>(Read::Timeout));
    g.is("service/READ_1/reply-woken", &Ok::<_, TransportError>(Read::Woken));
    g.is("service/READ_1/reply-gone", &Err::<Read, _>(gone()));
    g.is("service/READ_1/reply-none", &Err::<Read, _>(TransportError::None));
    g.is("service/WRITE_1/request", &WriteRequest { bytes: vec![27, 64], wait_ms: 1000 });
    g.is("service/WRITE_1/reply", &Ok::<(), WriteError>(()));
    g.is("service/WRITE_1/reply-part", &Err::<(), _>(WriteError { written: 3, error: None }));
    g.is("service/WRITE_1/reply-gone", &Err::<(), _>(WriteError { written: 0, error: Some(gone()) }));
    g.is("service/SECRET_1/request", &String::from("key"));
    g.is("service/SECRET_1/reply", &Some(vec![1_u8, 2]));
    g.is("service/SECRET_1/reply-none", &None::<Vec<u8>>);
    g.is("service/LOAD_1/request", &String::from("k"));
    g.is("service/LOAD_1/reply", &Some(vec![9_u8]));
    g.is("service/STORE_1/request", &(String::from("k"), vec![9_u8]));
    g.is("service/STORE_1/reply", &Ok::<(), StoreError>(()));
    let failed = StoreError { key: "k".into(), detail: "disk full".into() };
    g.is("service/STORE_1/reply-failed", &Err::<(), _>(failed));
    g.is("service/EMIT_1/request", &(1_u32, vec![5_u8]));
    g.is("service/EMIT_1/reply", &());
    g.is("service/REMAINING_1/request", &());
    g.is("service/REMAINING_1/reply", &Some(1500_u64));
    g.is("service/CANCELLED_1/request", &());
    g.is("service/CANCELLED_1/reply", &false);
    g.is("service/TRANSPORT_FD_1/request", &());
    g.is("service/TRANSPORT_FD_1/reply", &Ok::<i32, TransportError>(9));
    g.is("service/TRANSPORT_FD_1/reply-none", &Err::<i32, _>(TransportError::None));
    g.is("service/LOG_APPEND_1/request", &vec![5_u8, 6]);
    g.is("service/LOG_APPEND_1/reply", &Ok::<_, LogError>(700_u64));
    g.is("service/LOG_APPEND_1/reply-refused", &Err::<u64, _>(log_refused()));
    g.is("service/LOG_APPEND_1/reply-undecided", &Err::<u64, _>(log_undecided()));
    g.is("service/LOG_TRIM_1/request", &699_u64);
    g.is("service/LOG_TRIM_1/reply", &Ok::<(), LogError>(()));
    g.is("service/LOG_TRIM_1/reply-refused", &Err::<(), _>(log_refused()));
    g.is("service/LOG_READ_1/request", &LogReadRequest { after: 699, max: 64 });
    g.is("service/LOG_READ_1/reply", &Ok::<_, LogError>(vec![log_entry()]));
    g.is("service/LOG_READ_1/reply-refused", &Err::<Vec<LogEntry>, _>(log_refused()));
}
