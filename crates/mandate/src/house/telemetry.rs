//! Logs: JSON lines on stderr, with the span's fields (run, step, actor, scopes, class, outcome).

use tracing_subscriber::EnvFilter;

/// Starts logging. `MANDATE_LOG` filters, as in `info,mandate_engine=debug`; `MANDATE_LOG_FORMAT=text`
/// is for people.
pub(crate) fn start(default: &str) {
    let filter = EnvFilter::try_from_env("MANDATE_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = if std::env::var("MANDATE_LOG_FORMAT").is_ok_and(|format| format == "text") {
        builder.with_ansi(false).try_init()
    } else {
        builder.json().flatten_event(true).with_current_span(true).with_span_list(false).try_init()
    };
    // A second start in one process keeps the first subscriber.
    drop(started);
}
